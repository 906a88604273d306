//! The body of a response, which may have been put away.

use std::pin::Pin;
use std::task::{Context, Poll};

use http_body::{Body, Frame, SizeHint};
use pin_project_lite::pin_project;

pin_project! {
    /// The body of a response that came through [`SessionLayer`](super::tower::SessionLayer): that of the service, or none
    /// where the layer answers by itself.
    #[derive(Debug)]
    pub struct ResponseBody<B> {
        #[pin]
        inner: Option<B>,
    }
}

impl<B> ResponseBody<B> {
    pub(super) fn new(inner: B) -> Self {
        Self { inner: Some(inner) }
    }

    /// Returns the body of the service, unless the layer answered by itself.
    #[must_use]
    pub fn into_inner(self) -> Option<B> {
        self.inner
    }
}

/// The empty body.
impl<B> Default for ResponseBody<B> {
    fn default() -> Self {
        Self { inner: None }
    }
}

impl<B: Body> Body for ResponseBody<B> {
    type Data = B::Data;
    type Error = B::Error;

    fn poll_frame(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<B::Data>, B::Error>>> {
        match self.project().inner.as_pin_mut() {
            Some(inner) => inner.poll_frame(context),
            None => Poll::Ready(None),
        }
    }

    fn is_end_stream(&self) -> bool {
        self.inner.as_ref().is_none_or(Body::is_end_stream)
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.as_ref().map_or_else(|| SizeHint::with_exact(0), Body::size_hint)
    }
}
