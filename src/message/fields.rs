//! Fields: where each one lies in the serialized session.
//!
//! A [`RecordingSerializer`] stands between a session and the serializer of its format. It changes nothing that is
//! written and notes on a `recorder` where the values of struct fields, map entries and tuple elements begin and end,
//! however deep these are nested; a sequence is one value, with all that is in it, and the strings in it are noted beside.
//! That lets `pack` treat each field by itself, in any format, and lets an error name the heaviest ones.
//!
//! It also refuses what some formats write and none can read: a list or map that has another length than it announced, and
//! what the rules of a format forbid.

use std::fmt::{self, Display, Write as _};

use serde::Serialize;
use serde::ser::{self, Serializer};
use zeroize::Zeroizing;

use crate::message::recorder::{MARK, SpanRecorder, TUPLE};

/// A value whose place is noted when it is serialized.
pub(crate) struct Recorded<'a, T: ?Sized> {
    value: &'a T,
    recorder: &'a SpanRecorder,
    /// Whether a sequence is known to be a list. In what `#[serde(flatten)]` gives, a tuple is a sequence too.
    lists: bool,
    /// Of how many `Some`s, one in another, it is the value.
    in_some: usize,
}

impl<'a, T: ?Sized> Recorded<'a, T> {
    pub(crate) fn new(value: &'a T, recorder: &'a SpanRecorder) -> Self {
        Self { value, recorder, lists: true, in_some: 0 }
    }
}

impl<T: Serialize + ?Sized> Serialize for Recorded<'_, T> {
    #[inline]
    fn serialize<S: Serializer>(&self, inner: S) -> Result<S::Ok, S::Error> {
        let Self { value, recorder, lists, in_some } = *self;
        let serializer = RecordingSerializer { inner, recorder, in_some };
        if recorder.is_in_list() {
            return value.serialize(serializer);
        }
        let start = recorder.start();
        let done = value.serialize(serializer)?;
        recorder.end(&start, lists);
        Ok(done)
    }
}

pub(crate) struct RecordingSerializer<'a, S> {
    inner: S,
    recorder: &'a SpanRecorder,
    in_some: usize,
}

impl<'a, S> RecordingSerializer<'a, S> {
    /// Notes a unit, and returns what is written in its place, if it is marked. It may be a null in some formats only, as
    /// that of a unit struct.
    fn note_unit(&self) -> Option<String> {
        self.recorder.note_odd_null("unit", self.in_some)
    }

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
        fn $method(self, $($arg: $type,)* len: usize) -> Result<Self::$parts, S::Error> {
            let mut parts = self.parts(|inner| inner.$method($($arg,)* len))?;
            parts.announced = Some(len);
            Ok(parts)
        }
    )*};
}

/// As `parts`, with a mark before the elements, if there are marks: a reader may exchange these, and only those of a list
/// may be read in any order.
macro_rules! tuples {
    ($($method:ident($($arg:ident: $type:ty),*) -> $parts:ident::$element:ident;)*) => {$(
        fn $method(self, $($arg: $type,)* len: usize) -> Result<Self::$parts, S::Error> {
            let marks = self.recorder.marks();
            let mut parts = self.parts(|inner| inner.$method($($arg,)* len + usize::from(marks)))?;
            parts.announced = Some(len);
            if marks {
                ser::$parts::$element(&mut parts.inner, TUPLE)?;
            }
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
        serialize_unit_variant(name: &'static str, index: u32, variant: &'static str) -> Ok;
    }

    parts! {
        serialize_struct(name: &'static str) -> SerializeStruct;
        serialize_struct_variant(name: &'static str, index: u32, variant: &'static str) -> SerializeStructVariant;
    }

    tuples! {
        serialize_tuple() -> SerializeTuple::serialize_element;
        serialize_tuple_struct(name: &'static str) -> SerializeTupleStruct::serialize_field;
        serialize_tuple_variant(name: &'static str, index: u32, variant: &'static str)
            -> SerializeTupleVariant::serialize_field;
    }

    #[inline]
    fn serialize_none(self) -> Result<S::Ok, S::Error> {
        let Self { in_some, recorder, .. } = self;
        match (in_some > 0).then(|| recorder.note_odd_null("none", in_some)).flatten() {
            None => self.inner.serialize_none(),
            Some(mark) => self.inner.serialize_str(&mark),
        }
    }

    fn serialize_unit(self) -> Result<S::Ok, S::Error> {
        match self.note_unit() {
            None => self.inner.serialize_unit(),
            Some(mark) => self.inner.serialize_str(&mark),
        }
    }

    fn serialize_unit_struct(self, name: &'static str) -> Result<S::Ok, S::Error> {
        match self.note_unit() {
            None => self.inner.serialize_unit_struct(name),
            Some(mark) => self.inner.serialize_str(&mark),
        }
    }

    fn serialize_seq(self, len: Option<usize>) -> Result<Self::SerializeSeq, S::Error> {
        let recorder = self.recorder;
        let len = len.or_else(|| recorder.known_len());
        let mut parts = self.parts(|inner| inner.serialize_seq(len))?;
        parts.announced = len;
        if len.is_none() {
            parts.counted = Some(recorder.counted());
        }
        recorder.enter_list();
        Ok(parts)
    }

    #[inline]
    fn serialize_str(self, v: &str) -> Result<S::Ok, S::Error> {
        if self.recorder.marks() && v.starts_with(MARK) {
            return self.inner.serialize_str(&Zeroizing::new(format!("{MARK}{v}")));
        }
        let done = self.inner.serialize_str(v)?;
        self.recorder.note_str(v);
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
        let Self { recorder, in_some, .. } = self;
        self.inner
            .serialize_some(&Recorded { value, recorder, lists: true, in_some: in_some + 1 })
            .inspect(|_| recorder.note_parts())
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(
        self,
        name: &'static str,
        value: &T,
    ) -> Result<S::Ok, S::Error> {
        let Self { recorder, in_some, .. } = self;
        if recorder.marks() && name == rmp_serde::MSGPACK_EXT_STRUCT_NAME {
            // The tuple in it is none of MessagePack's.
            return self.inner.serialize_newtype_struct(name, value);
        }
        self.inner
            .serialize_newtype_struct(name, &Recorded { value, recorder, lists: true, in_some })
            .inspect(|_| recorder.note_parts())
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
            .inspect(|_| recorder.note_parts())
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
        self.recorder.note_parts();
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
                    recorder.written(),
                    || inner.serialize_field(name, &Recorded::new(value, recorder)),
                )
            }

            fn skip_field(&mut self, name: &'static str) -> Result<(), P::Error> {
                self.recorder.check_skipping()?;
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
                    recorder.written(),
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
            self.entry = (name, self.recorder.written());
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
            || inner.serialize_value(&Recorded { value, recorder, lists, in_some: 0 }),
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
            recorder.written(),
            || inner.serialize_element(&Recorded::new(value, recorder)),
        )?;
        *written += 1;
        Ok(())
    }

    fn end(self) -> Result<P::Ok, P::Error> {
        let recorder = self.recorder;
        let done = Parts::end(self, P::end)?;
        recorder.leave_list();
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
