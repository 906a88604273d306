//! Fields: where each one lies in the serialized session.
//!
//! A [`RecordingSerializer`] stands between a session and the serializer of its format. It changes nothing that is
//! written and notes where the values of struct fields, map entries and tuple elements begin and end,
//! however deep these are nested; a sequence is one value, with all that is in it. That lets `pack` treat
//! each field by itself, in any format, and lets an error name the heaviest ones.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Display, Write as _};
use std::io;
use std::ops::Range;

use serde::Serialize;
use serde::ser::{self, Serializer};

use crate::bytes::secret_bytes::SecretBytes;
use crate::message::MAX_BODY;

/// The size of one top-level field of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldSize {
    /// The name of the field, or the key of the map entry, cut to 64 characters.
    pub name: String,
    /// Its serialized bytes, name included.
    pub bytes: usize,
}

/// Where one value lies in the serialized session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldSpan {
    pub(crate) range: Range<usize>,
    /// The value is a string of this many bytes.
    pub(crate) str_len: Option<usize>,
}

thread_local! {
    /// What this thread's next session will take, by its last one: so that a buffer seldom grows, and none is
    /// wiped for longer than it was used.
    static USUAL: Cell<usize> = const { Cell::new(LEAST) };
}

const LEAST: usize = 256;

/// Enough for most sessions, so that the notes need not grow.
const FIELDS: usize = 16;

/// Shorter values are not recorded: there is nothing to gain on them.
pub(crate) const MIN_FIELD: usize = 24;

/// A buffer that collects the output, and wipes what it leaves behind when it grows.
pub(crate) struct Sink<'t> {
    bytes: SecretBytes,
    recorder: &'t SpanRecorder,
}

impl<'t> Sink<'t> {
    pub(crate) fn new(recorder: &'t SpanRecorder) -> Self {
        Self { bytes: SecretBytes::new(Vec::with_capacity(USUAL.get())), recorder }
    }

    pub(crate) fn into_bytes(self) -> SecretBytes {
        let len = self.bytes.len();
        USUAL.set((len + len / 8).clamp(LEAST, MAX_BODY));
        self.bytes
    }

    #[cold]
    fn grow(&mut self, more: usize) {
        let mut grown = SecretBytes::new(Vec::with_capacity((self.bytes.len() + more) * 2));
        grown.extend_from_slice(&self.bytes);
        self.bytes = grown;
    }
}

impl io::Write for Sink<'_> {
    #[inline]
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.write_all(bytes)?;
        Ok(bytes.len())
    }

    #[inline]
    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        if bytes.len() > self.bytes.capacity() - self.bytes.len() {
            self.grow(bytes.len());
        }
        self.bytes.extend_from_slice(bytes);
        self.recorder.written.set(self.bytes.len());
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A recorder of the field spans of one serialization.
#[derive(Default)]
pub(crate) struct SpanRecorder {
    written: Cell<usize>,
    last: Cell<Shape>,
    fields: RefCell<Vec<FieldSpan>>,
    top: Option<RefCell<Vec<FieldSize>>>,
    depth: Cell<usize>,
    /// The entries of each map whose length was not told beforehand, in order.
    counts: RefCell<Vec<usize>>,
    /// Those of a pass before, and how many are used.
    known: (Vec<usize>, Cell<usize>),
}

/// What the value written last was.
#[derive(Clone, Copy, Default)]
enum Shape {
    #[default]
    Other,
    Str(usize),
    Seq,
    /// Its parts have been recorded one by one.
    Parts,
}

impl SpanRecorder {
    /// Creates a recorder that also notes the sizes of the top-level fields by name.
    pub(crate) fn weighing() -> Self {
        Self { top: Some(RefCell::default()), ..Self::default() }
    }

    /// Returns a recorder for a second pass that tells the lengths of all maps beforehand, if the first one
    /// met a map that did not, as `#[serde(flatten)]` makes them. MessagePack's writer keeps such a map
    /// back to its end, so that nothing could be noted within it.
    pub(crate) fn second_pass(&mut self) -> Option<Self> {
        let counts = self.counts.take();
        let top = self.top.as_ref().map(|_| RefCell::default());
        (!counts.is_empty()).then(|| Self { known: (counts, Cell::new(0)), top, ..Self::default() })
    }

    /// Returns the number of entries of the next map that does not tell it, if a pass before counted it.
    fn known_len(&self) -> Option<usize> {
        let (known, used) = &self.known;
        let len = known.get(used.get()).copied();
        used.set(used.get() + 1);
        len
    }

    pub(crate) fn into_fields(self) -> Vec<FieldSpan> {
        self.fields.into_inner()
    }

    /// Returns the top-level fields, the heaviest first.
    pub(crate) fn into_heaviest(self) -> Vec<FieldSize> {
        let mut top = self.top.unwrap_or_default().into_inner();
        top.sort_by_key(|field| std::cmp::Reverse(field.bytes));
        top
    }

    fn weighs_this_level(&self) -> bool {
        self.top.is_some() && self.depth.get() == 0
    }

    /// Writes a value one level deeper, and notes the size of what was written since `from` if that
    /// was a top-level field.
    fn field<E>(
        &self,
        name: impl FnOnce() -> String,
        from: usize,
        write: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        self.depth.set(self.depth.get() + 1);
        write()?;
        self.depth.set(self.depth.get() - 1);
        if let (Some(top), 0) = (&self.top, self.depth.get()) {
            top.borrow_mut().push(FieldSize { name: name(), bytes: self.written.get() - from });
        }
        Ok(())
    }
}

/// A value whose place is noted when it is serialized.
pub(crate) struct Recorded<'a, T: ?Sized> {
    value: &'a T,
    recorder: &'a SpanRecorder,
    /// Whether a sequence is known to be a list. In what `#[serde(flatten)]` gives, a tuple is a sequence too.
    lists: bool,
}

impl<'a, T: ?Sized> Recorded<'a, T> {
    pub(crate) fn new(value: &'a T, recorder: &'a SpanRecorder) -> Self {
        Self { value, recorder, lists: true }
    }
}

impl<T: Serialize + ?Sized> Serialize for Recorded<'_, T> {
    #[inline]
    fn serialize<S: Serializer>(&self, inner: S) -> Result<S::Ok, S::Error> {
        let Self { value, recorder, lists } = self;
        let start = recorder.written.get();
        recorder.last.set(Shape::Other);
        let done = value.serialize(RecordingSerializer { inner, recorder })?;
        let range = start..recorder.written.get();
        let str_len = match recorder.last.get() {
            Shape::Parts => return Ok(done),
            Shape::Seq if !lists => return Ok(done),
            Shape::Str(len) => Some(len),
            Shape::Seq | Shape::Other => None,
        };
        if range.len() >= MIN_FIELD {
            let mut fields = recorder.fields.borrow_mut();
            if fields.is_empty() {
                fields.reserve(FIELDS);
            }
            fields.push(FieldSpan { range, str_len });
        }
        Ok(done)
    }
}

pub(crate) struct RecordingSerializer<'a, S> {
    inner: S,
    recorder: &'a SpanRecorder,
}

impl<'a, S> RecordingSerializer<'a, S> {
    fn parts<P, E>(self, start: impl FnOnce(S) -> Result<P, E>) -> Result<Parts<'a, P>, E> {
        let recorder = self.recorder;
        let inner = start(self.inner)?;
        Ok(Parts {
            inner,
            recorder,
            entry: (String::new(), 0),
            element: 0,
            flattened: false,
            counted: None,
        })
    }
}

macro_rules! forward {
    ($($method:ident($($arg:ident: $type:ty),*) -> $ok:ident;)*) => {$(
        #[inline]
        fn $method(self, $($arg: $type),*) -> Result<S::$ok, S::Error> {
            self.inner.$method($($arg),*)
        }
    )*};
}

macro_rules! parts {
    ($($method:ident($($arg:ident: $type:ty),*) -> $parts:ident;)*) => {$(
        fn $method(self, $($arg: $type),*) -> Result<Self::$parts, S::Error> {
            self.parts(|inner| inner.$method($($arg),*))
        }
    )*};
}

impl<'a, S: Serializer> Serializer for RecordingSerializer<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = S::SerializeSeq;
    type SerializeTuple = Parts<'a, S::SerializeTuple>;
    type SerializeTupleStruct = Parts<'a, S::SerializeTupleStruct>;
    type SerializeTupleVariant = Parts<'a, S::SerializeTupleVariant>;
    type SerializeMap = Parts<'a, S::SerializeMap>;
    type SerializeStruct = Parts<'a, S::SerializeStruct>;
    type SerializeStructVariant = Parts<'a, S::SerializeStructVariant>;

    forward! {
        serialize_bool(v: bool) -> Ok;
        serialize_i8(v: i8) -> Ok;
        serialize_i16(v: i16) -> Ok;
        serialize_i32(v: i32) -> Ok;
        serialize_i64(v: i64) -> Ok;
        serialize_i128(v: i128) -> Ok;
        serialize_u8(v: u8) -> Ok;
        serialize_u16(v: u16) -> Ok;
        serialize_u32(v: u32) -> Ok;
        serialize_u64(v: u64) -> Ok;
        serialize_u128(v: u128) -> Ok;
        serialize_f32(v: f32) -> Ok;
        serialize_f64(v: f64) -> Ok;
        serialize_char(v: char) -> Ok;
        serialize_bytes(v: &[u8]) -> Ok;
        serialize_none() -> Ok;
        serialize_unit() -> Ok;
        serialize_unit_struct(name: &'static str) -> Ok;
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str) -> Ok;
    }

    parts! {
        serialize_tuple(len: usize) -> SerializeTuple;
        serialize_tuple_struct(name: &'static str, len: usize) -> SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeTupleVariant;
        serialize_struct(name: &'static str, len: usize) -> SerializeStruct;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str, len: usize)
            -> SerializeStructVariant;
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<S::SerializeSeq, S::Error> {
        self.recorder.last.set(Shape::Seq);
        self.inner.serialize_seq(len)
    }

    #[inline]
    fn serialize_str(self, v: &str) -> Result<S::Ok, S::Error> {
        let done = self.inner.serialize_str(v)?;
        self.recorder.last.set(Shape::Str(v.len()));
        Ok(done)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let recorder = self.recorder;
        self.inner
            .serialize_some(&Recorded::new(value, recorder))
            .inspect(|_| recorder.last.set(Shape::Parts))
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let recorder = self.recorder;
        self.inner
            .serialize_newtype_struct(name, &Recorded::new(value, recorder))
            .inspect(|_| recorder.last.set(Shape::Parts))
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        index: u32,
        variant: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let recorder = self.recorder;
        self.inner
            .serialize_newtype_variant(name, index, variant, &Recorded::new(value, recorder))
            .inspect(|_| recorder.last.set(Shape::Parts))
    }

    fn serialize_map(self, len: Option<usize>) -> Result<Self::SerializeMap, S::Error> {
        let recorder = self.recorder;
        let flattened = len.is_none();
        let len = len.or_else(|| recorder.known_len());
        let mut parts = self.parts(|inner| inner.serialize_map(len))?;
        parts.flattened = flattened;
        if len.is_none() {
            let mut counts = recorder.counts.borrow_mut();
            parts.counted = Some(counts.len());
            counts.push(0);
        }
        Ok(parts)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        self.inner.collect_str(value)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// The parts of a struct, a map or a tuple, each noted.
pub(crate) struct Parts<'a, P> {
    inner: P,
    recorder: &'a SpanRecorder,
    /// The name of the map entry at hand, and where it began.
    entry: (String, usize),
    /// The number of the tuple element at hand.
    element: usize,
    /// The length of this map was not told, as with `#[serde(flatten)]`.
    flattened: bool,
    /// Where the entries of this map are counted, if its length was not told.
    counted: Option<usize>,
}

impl<P> Parts<'_, P> {
    fn end<O, E>(self, end: impl FnOnce(P) -> Result<O, E>) -> Result<O, E> {
        let done = end(self.inner)?;
        self.recorder.last.set(Shape::Parts);
        Ok(done)
    }
}

macro_rules! named_fields {
    ($($trait:ident)*) => {$(
        impl<P: ser::$trait> ser::$trait for Parts<'_, P> {
            type Ok = P::Ok;
            type Error = P::Error;

            #[inline]
            fn serialize_field<T: Serialize + ?Sized>(
                &mut self,
                name: &'static str,
                value: &T,
            ) -> Result<(), P::Error> {
                let Self { inner, recorder, .. } = self;
                recorder.field(
                    || name.to_owned(),
                    recorder.written.get(),
                    || inner.serialize_field(name, &Recorded::new(value, recorder)),
                )
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), P::Error> {
                self.inner.skip_field(name)
            }

            fn end(self) -> Result<P::Ok, P::Error> {
                Parts::end(self, P::end)
            }
        }
    )*};
}

named_fields! { SerializeStruct SerializeStructVariant }

macro_rules! elements {
    ($($trait:ident::$method:ident)*) => {$(
        impl<P: ser::$trait> ser::$trait for Parts<'_, P> {
            type Ok = P::Ok;
            type Error = P::Error;

            #[inline]
            fn $method<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), P::Error> {
                let Self { inner, recorder, element, .. } = self;
                recorder.field(
                    || element.to_string(),
                    recorder.written.get(),
                    || inner.$method(&Recorded::new(value, recorder)),
                )?;
                *element += 1;
                Ok(())
            }

            fn end(self) -> Result<P::Ok, P::Error> {
                Parts::end(self, P::end)
            }
        }
    )*};
}

elements! {
    SerializeTuple::serialize_element
    SerializeTupleStruct::serialize_field
    SerializeTupleVariant::serialize_field
}

impl<P: ser::SerializeMap> ser::SerializeMap for Parts<'_, P> {
    type Ok = P::Ok;
    type Error = P::Error;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), P::Error> {
        if self.recorder.weighs_this_level() {
            let mut name = String::new();
            if write!(name, "{}", Shown(key)).is_err() {
                name.push('?');
            }
            let cut = name.char_indices().nth(64).map_or(name.len(), |(at, _)| at);
            name.truncate(cut);
            self.entry = (name, self.recorder.written.get());
        }
        self.inner.serialize_key(key)
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), P::Error> {
        let Self { inner, recorder, entry: (name, from), counted, flattened, .. } = self;
        let lists = !*flattened;
        if let Some(at) = *counted
            && let Some(count) = recorder.counts.borrow_mut().get_mut(at)
        {
            *count += 1;
        }
        recorder.field(
            || std::mem::take(name),
            *from,
            || inner.serialize_value(&Recorded { value, recorder, lists }),
        )
    }

    fn end(self) -> Result<P::Ok, P::Error> {
        Parts::end(self, P::end)
    }
}

/// Shows the key of a map entry, as far as it is a string, a number or the like: for those, serde
/// implements `Serializer` for a formatter.
struct Shown<'a, T: ?Sized>(&'a T);

impl<T: Serialize + ?Sized> Display for Shown<'_, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.serialize(f)
    }
}
