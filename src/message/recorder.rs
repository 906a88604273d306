//! The recorder: notes of what a serializer was asked to write, and where that lies.
//!
//! `fields` takes the notes, while a session is serialized.

use std::cell::{Cell, RefCell};
use std::ops::Range;

use serde::ser;

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
    /// How many nulls were written that are no plain `None`.
    odd_nulls: Cell<usize>,
    /// Nothing is noted but that.
    only_nulls: bool,
    /// What the bytes of a format do not tell apart is written as something else.
    marks: bool,
}

/// Where a value begins.
pub(super) struct Start {
    at: usize,
    strings: usize,
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

    /// Creates a recorder that counts the odd nulls alone.
    pub(crate) fn of_nulls() -> Self {
        // As in a list, where no value is noted.
        Self { only_nulls: true, lists: Cell::new(1), ..Self::default() }
    }

    /// Creates a recorder that has marks written in the place of odd nulls and at the beginning of tuples, for what is to
    /// be compared and not to be read.
    pub(crate) fn marking() -> Self {
        Self { only_nulls: true, lists: Cell::new(1), marks: true, ..Self::default() }
    }

    /// Returns a recorder for a second pass that tells the lengths of all maps beforehand, if the first one
    /// met a map that did not, as `#[serde(flatten)]` makes them. MessagePack's writer keeps such a map
    /// back to its end, so that nothing could be noted within it.
    pub(crate) fn second_pass(&mut self) -> Option<Self> {
        let counts = self.counts.take();
        let top = self.top.as_ref().map(|_| RefCell::default());
        let (known, strict, marks) = ((counts, Cell::new(0)), self.strict, self.marks);
        (!known.0.is_empty()).then(|| Self { known, top, strict, marks, ..Self::default() })
    }

    /// Sets what is refused.
    pub(crate) fn set_strict(&mut self, strict: Strict) {
        self.strict = strict;
    }

    /// Returns the number of entries of the next map or sequence that does not tell it, if a pass before counted it.
    #[inline]
    pub(super) fn known_len(&self) -> Option<usize> {
        let (known, used) = &self.known;
        let len = known.get(used.get()).copied();
        used.set(used.get() + 1);
        len
    }

    /// Begins to count the entries of a map or sequence that did not tell how many they are.
    pub(super) fn counted(&self) -> usize {
        let mut counts = self.counts.borrow_mut();
        counts.push(0);
        counts.len() - 1
    }

    #[inline]
    pub(super) fn count(&self, at: Option<usize>) {
        if let Some(at) = at
            && let Some(count) = self.counts.borrow_mut().get_mut(at)
        {
            *count += 1;
        }
    }

    pub(crate) fn into_spans(self) -> Spans {
        self.spans.into_inner()
    }

    /// Returns the number of nulls that are no plain `None`: units, and what stands in a `Some`.
    ///
    /// The named formats write all of these as they write `None`, so that the bytes do not tell which one it was.
    pub(crate) fn odd_nulls(&self) -> usize {
        self.odd_nulls.get()
    }

    /// Returns the top-level fields, the heaviest first.
    pub(crate) fn into_heaviest(self) -> Vec<FieldSize> {
        let mut top = self.top.unwrap_or_default().into_inner();
        top.sort_by_key(|field| std::cmp::Reverse(field.bytes));
        top
    }

    #[inline]
    pub(super) fn written(&self) -> usize {
        self.written.get()
    }

    #[inline]
    pub(super) fn set_written(&self, written: usize) {
        self.written.set(written);
    }

    #[inline]
    pub(super) fn is_in_list(&self) -> bool {
        self.lists.get() > 0
    }

    #[inline]
    pub(super) fn enter_list(&self) {
        self.lists.set(self.lists.get() + 1);
    }

    #[inline]
    pub(super) fn leave_list(&self) {
        self.lists.set(self.lists.get() - 1);
        self.last.set(Shape::Seq);
    }

    /// Notes that the parts of the value written last have been noted one by one.
    #[inline]
    pub(super) fn note_parts(&self) {
        self.last.set(Shape::Parts);
    }

    /// Notes a string that was written.
    #[inline]
    pub(super) fn note_str(&self, text: &str) {
        if !self.is_in_list() {
            self.last.set(Shape::Str(text.len()));
        } else if text.len() >= MIN_DECIMAL
            && !self.only_nulls
            && Notation::may_hold(text.as_bytes())
        {
            let span = StringSpan { end: self.written.get(), len: text.len() };
            self.spans.borrow_mut().strings.push(span);
        }
    }

    /// Notes an odd null, which is the value of so many `Some`s, and returns its mark, if it gets one.
    #[cold]
    pub(super) fn note_odd_null(&self, is: &str, somes: usize) -> Option<String> {
        self.odd_nulls.set(self.odd_nulls.get() + 1);
        self.marks.then(|| format!("{MARK}{is} in {somes}"))
    }

    #[inline]
    pub(super) fn marks(&self) -> bool {
        self.marks
    }

    #[inline]
    pub(super) fn start(&self) -> Start {
        self.last.set(Shape::Other);
        Start { at: self.written.get(), strings: self.spans.borrow().strings.len() }
    }

    /// Notes the value that began there, if it is one by itself and long enough. In what may be a tuple, `lists` is false.
    #[inline]
    pub(super) fn end(&self, start: &Start, lists: bool) {
        let range = start.at..self.written.get();
        let (string, least, whole) = match self.last.get() {
            Shape::Parts => return,
            Shape::Str(len) => (Some(len), MIN_DECIMAL, true),
            Shape::Seq => (None, MIN_FIELD, lists),
            Shape::Other => (None, MIN_FIELD, true),
        };
        if range.len() > least {
            let Spans { fields, strings: all } = &mut *self.spans.borrow_mut();
            if fields.is_empty() {
                fields.reserve(FIELDS);
            }
            fields.push(FieldSpan { range, string, strings: start.strings..all.len(), whole });
        }
    }

    #[inline]
    pub(super) fn check_finite<E: ser::Error>(&self, is_finite: bool) -> Result<(), E> {
        if self.strict.finite && !is_finite { Err(E::custom(NOT_FINITE)) } else { Ok(()) }
    }

    #[inline]
    pub(super) fn check_skipping<E: ser::Error>(&self) -> Result<(), E> {
        if self.strict.no_skipping { Err(E::custom(SKIPPED)) } else { Ok(()) }
    }

    #[inline]
    pub(super) fn weighs_this_level(&self) -> bool {
        self.top.is_some() && self.depth.get() == 0
    }

    /// Writes a value one level deeper, and notes the size of what was written since `from` if that
    /// was a top-level field.
    #[inline]
    pub(super) fn field<E>(
        &self,
        name: impl FnOnce() -> String,
        from: usize,
        write: impl FnOnce() -> Result<(), E>,
    ) -> Result<(), E> {
        if self.top.is_none() {
            return write();
        }
        self.weigh(name, from, write)
    }

    #[cold]
    fn weigh<E>(
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

/// What begins a mark. A string of the session that begins so gets one more of it, where there are marks.
pub(super) const MARK: char = '\u{7f}';

/// What stands before the elements of a tuple, where there are marks.
pub(super) const TUPLE: &str = "\u{7f}tuple";

const SKIPPED: &str = "a field is left out, as by `skip_serializing_if`: the format has no names by which a reader could tell";

const NOT_FINITE: &str = "a number is not finite, and JSON writes it as null";

/// Enough for most sessions, so that the notes need not grow.
const FIELDS: usize = 16;

/// Shorter values are not recorded: there is nothing to gain on them. Strings have a bound of their own.
const MIN_FIELD: usize = 24;
