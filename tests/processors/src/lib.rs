//! Nothing: the tests are those of the vectors.

// It only has to be compiled.
use sealed_session as _;
