//! Fields: where each one lies in the serialized session.
//!
//! A [`RecordingSerializer`] stands between a session and the serializer of its format. It changes nothing that is
//! written and notes where the values of struct fields, map entries and tuple elements begin and end,
//! however deep these are nested; a sequence is one value, with all that is in it, and the strings in it are noted beside.
//! That lets `pack` treat each field by itself, in any format, and lets an error name the heaviest ones.
//!
//! It also refuses what some formats write and none can read: a list or map that has another length than it announced, and
//! what the [`Strict`] rules of a format forbid.

use std::cell::{Cell, RefCell};
use std::fmt::{self, Display, Write as _};
use std::io;
use std::ops::Range;

use serde::Serialize;
use serde::ser::{self, Serializer};
use zeroize::Zeroizing;

use crate::bytes::secret_bytes::SecretBytes;
use crate::message::MAX_BODY;
use crate::message::notation::{MIN_DECIMAL, Notation};

/// The size of one top-level field of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct FieldSize {
    /// The name of the field, or the key of the map entry, cut to 64 characters.
    pub name: String,
    /// Its serialized bytes, name included.
    pub bytes: usize,
}

/// Where the values of a serialized session lie.
#[derive(Debug, Default)]
pub(crate) struct Spans {
    pub(crate) fields: Vec<FieldSpan>,
    /// The strings in sequences.
    pub(crate) strings: Vec<StringSpan>,
}

/// Where one value lies in the serialized session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FieldSpan {
    pub(crate) range: Range<usize>,
    /// The value is a string of this many bytes.
    pub(crate) string: Option<usize>,
    /// Which of the strings in sequences are in the value.
    pub(crate) strings: Range<usize>,
    /// Whether the value is one field by itself, and not a sequence that may be a tuple of several.
    pub(crate) whole: bool,
}

/// Where one string in a sequence lies: its last byte, with what the format puts behind it, and its length.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct StringSpan {
    pub(crate) end: usize,
    pub(crate) len: usize,
}

/// What a format writes and cannot read, and so has to refuse.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Strict {
    /// Fields that are left out, in formats without names: what follows would be read in their place.
    pub(crate) no_skipping: bool,
    /// Numbers that are not finite, which JSON writes as null.
    pub(crate) finite: bool,
}

thread_local! {
    /// What this thread's next session will take, by its last one: so that a buffer seldom grows, and none is
    /// wiped for longer than it was used.
    static USUAL: Cell<usize> = const { Cell::new(LEAST) };
}

const LEAST: usize = 256;

/// Enough for most sessions, so that the notes need not grow.
const FIELDS: usize = 16;

/// Shorter values are not recorded: there is nothing to gain on them. Strings have a bound of their own.
const MIN_FIELD: usize = 24;

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
    spans: RefCell<Spans>,
    /// How many sequences the value at hand is in.
    lists: Cell<usize>,
    strict: Strict,
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
        let (known, strict) = ((counts, Cell::new(0)), self.strict);
        (!known.0.is_empty()).then(|| Self { known, top, strict, ..Self::default() })
    }

    /// Sets what is refused.
    pub(crate) fn set_strict(&mut self, strict: Strict) {
        self.strict = strict;
    }

    /// Returns the number of entries of the next map or sequence that does not tell it, if a pass before counted it.
    fn known_len(&self) -> Option<usize> {
        let (known, used) = &self.known;
        let len = known.get(used.get()).copied();
        used.set(used.get() + 1);
        len
    }

    /// Begins to count the entries of a map or sequence that did not tell how many they are.
    fn counted(&self) -> usize {
        let mut counts = self.counts.borrow_mut();
        counts.push(0);
        counts.len() - 1
    }

    fn count(&self, at: Option<usize>) {
        if let Some(at) = at
            && let Some(count) = self.counts.borrow_mut().get_mut(at)
        {
            *count += 1;
        }
    }

    pub(crate) fn into_spans(self) -> Spans {
        self.spans.into_inner()
    }

    /// Returns the top-level fields, the heaviest first.
    pub(crate) fn into_heaviest(self) -> Vec<FieldSize> {
        let mut top = self.top.unwrap_or_default().into_inner();
        top.sort_by_key(|field| std::cmp::Reverse(field.bytes));
        top
    }

    fn check_finite<E: ser::Error>(&self, is_finite: bool) -> Result<(), E> {
        if self.strict.finite && !is_finite { Err(E::custom(NOT_FINITE)) } else { Ok(()) }
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
        if self.top.is_none() {
            return write();
        }
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
        if recorder.lists.get() > 0 {
            return value.serialize(RecordingSerializer { inner, recorder });
        }
        let start = recorder.written.get();
        let strings = recorder.spans.borrow().strings.len();
        recorder.last.set(Shape::Other);
        let done = value.serialize(RecordingSerializer { inner, recorder })?;
        let range = start..recorder.written.get();
        let (string, least, whole) = match recorder.last.get() {
            Shape::Parts => return Ok(done),
            Shape::Str(len) => (Some(len), MIN_DECIMAL, true),
            Shape::Seq => (None, MIN_FIELD, *lists),
            Shape::Other => (None, MIN_FIELD, true),
        };
        if range.len() > least {
            let Spans { fields, strings: all } = &mut *recorder.spans.borrow_mut();
            if fields.is_empty() {
                fields.reserve(FIELDS);
            }
            fields.push(FieldSpan { range, string, strings: strings..all.len(), whole });
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
            announced: None,
            written: 0,
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
        fn $method(self, $($arg: $type),*, len: usize) -> Result<Self::$parts, S::Error> {
            let mut parts = self.parts(|inner| inner.$method($($arg),*, len))?;
            parts.announced = Some(len);
            Ok(parts)
        }
    )*};
}

impl<'a, S: Serializer> Serializer for RecordingSerializer<'a, S> {
    type Ok = S::Ok;
    type Error = S::Error;
    type SerializeSeq = Parts<'a, S::SerializeSeq>;
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
        serialize_char(v: char) -> Ok;
        serialize_bytes(v: &[u8]) -> Ok;
        serialize_none() -> Ok;
        serialize_unit() -> Ok;
        serialize_unit_struct(name: &'static str) -> Ok;
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str) -> Ok;
    }

    parts! {
        serialize_tuple_struct(name: &'static str) -> SerializeTupleStruct;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str) -> SerializeTupleVariant;
        serialize_struct(name: &'static str) -> SerializeStruct;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str) -> SerializeStructVariant;
    }

    fn serialize_tuple(self, len: usize) -> Result<Self::SerializeTuple, S::Error> {
        let mut parts = self.parts(|inner| inner.serialize_tuple(len))?;
        parts.announced = Some(len);
        Ok(parts)
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        let recorder = self.recorder;
        let len = len.or_else(|| recorder.known_len());
        let mut parts = self.parts(|inner| inner.serialize_seq(len))?;
        parts.announced = len;
        if len.is_none() {
            parts.counted = Some(recorder.counted());
        }
        recorder.lists.set(recorder.lists.get() + 1);
        Ok(parts)
    }

    #[inline]
    fn serialize_str(self, v: &str) -> Result<S::Ok, S::Error> {
        let recorder = self.recorder;
        let done = self.inner.serialize_str(v)?;
        if recorder.lists.get() == 0 {
            recorder.last.set(Shape::Str(v.len()));
        } else if v.len() >= MIN_DECIMAL && Notation::may_hold(v.as_bytes()) {
            let span = StringSpan { end: recorder.written.get(), len: v.len() };
            recorder.spans.borrow_mut().strings.push(span);
        }
        Ok(done)
    }

    fn serialize_f32(self, v: f32) -> Result<S::Ok, S::Error> {
        self.recorder.check_finite(v.is_finite())?;
        self.inner.serialize_f32(v)
    }

    fn serialize_f64(self, v: f64) -> Result<S::Ok, S::Error> {
        self.recorder.check_finite(v.is_finite())?;
        self.inner.serialize_f64(v)
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
        (parts.flattened, parts.announced) = (flattened, len);
        if len.is_none() {
            parts.counted = Some(recorder.counted());
        }
        Ok(parts)
    }

    fn collect_str<T: Display + ?Sized>(self, value: &T) -> Result<S::Ok, S::Error> {
        let mut text = Zeroizing::new(String::with_capacity(64));
        write!(text, "{value}").map_err(|_| ser::Error::custom("a `Display` failed"))?;
        self.serialize_str(&text)
    }

    fn is_human_readable(&self) -> bool {
        self.inner.is_human_readable()
    }
}

/// The parts of a struct, a map, a tuple or a sequence, each noted.
pub(crate) struct Parts<'a, P> {
    inner: P,
    recorder: &'a SpanRecorder,
    /// The name of the map entry at hand, and where it began.
    entry: (String, usize),
    /// The number of the tuple element at hand.
    element: usize,
    /// The length of this map was not told, as with `#[serde(flatten)]`.
    flattened: bool,
    /// Where the entries of this map or sequence are counted, if its length was not told.
    counted: Option<usize>,
    /// How many there are to be, and how many there were.
    announced: Option<usize>,
    written: usize,
}

impl<P> Parts<'_, P> {
    fn end<O, E: ser::Error>(self, end: impl FnOnce(P) -> Result<O, E>) -> Result<O, E> {
        if self.announced.is_some_and(|announced| announced != self.written) {
            return Err(E::custom(LENGTH));
        }
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
                let Self { inner, recorder, written, .. } = self;
                *written += 1;
                recorder.field(
                    || name.to_owned(),
                    recorder.written.get(),
                    || inner.serialize_field(name, &Recorded::new(value, recorder)),
                )
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), P::Error> {
                if self.recorder.strict.no_skipping {
                    return Err(ser::Error::custom(SKIPPED));
                }
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
                let Self { inner, recorder, element, written, .. } = self;
                *written += 1;
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
        let Self { inner, recorder, entry: (name, from), counted, flattened, written, .. } = self;
        let lists = !*flattened;
        *written += 1;
        recorder.count(*counted);
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

impl<P: ser::SerializeSeq> ser::SerializeSeq for Parts<'_, P> {
    type Ok = P::Ok;
    type Error = P::Error;

    #[inline]
    fn serialize_element<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), P::Error> {
        let Self { inner, recorder, written, counted, .. } = self;
        recorder.count(*counted);
        recorder.field(
            || written.to_string(),
            recorder.written.get(),
            || inner.serialize_element(&Recorded::new(value, recorder)),
        )?;
        *written += 1;
        Ok(())
    }

    fn end(self) -> Result<P::Ok, P::Error> {
        let recorder = self.recorder;
        let done = Parts::end(self, P::end)?;
        recorder.lists.set(recorder.lists.get() - 1);
        recorder.last.set(Shape::Seq);
        Ok(done)
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

const LENGTH: &str = "a list, map or struct has another length than it announced";

const SKIPPED: &str = "a field is left out, as by `skip_serializing_if`: the format has no names by which a reader could tell";

const NOT_FINITE: &str = "a number is not finite, and JSON writes it as null";
