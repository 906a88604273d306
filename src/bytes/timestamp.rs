//! Times in text, as serde types write them: RFC 3339 in UTC, such as `2025-11-24T15:00:00.123Z`.
//!
//! Each is a number of units since 1970 and a form: how many digits follow the second, and whether it ends in `Z` or in
//! `+00:00`. Reading is strict: each text has one number and form, and each of those one text.

/// How a time is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Form {
    /// 0, 3, 6 or 9 digits of the second, divided by 3.
    thousands: u8,
    /// It ends in `+00:00` instead of `Z`.
    offset: bool,
}

impl Form {
    /// Returns a number below 8.
    pub(crate) fn to_number(self) -> u64 {
        u64::from(self.thousands | u8::from(self.offset) << 2)
    }

    pub(crate) fn from_number(number: u64) -> Option<Self> {
        let number = u8::try_from(number).ok().filter(|number| *number < 8)?;
        Some(Self { thousands: number & 3, offset: number & 4 != 0 })
    }

    /// Returns the number of characters.
    pub(crate) fn len(self) -> usize {
        let fraction = match self.thousands {
            0 => 0,
            thousands => 1 + 3 * usize::from(thousands),
        };
        SECONDS + fraction + self.end().len()
    }

    fn end(self) -> &'static [u8] {
        if self.offset { b"+00:00" } else { b"Z" }
    }

    fn units(self) -> u64 {
        1000_u64.pow(self.thousands.into())
    }
}

/// Reads a time between 1970 and 9999.
pub(crate) fn parse(text: &[u8]) -> Option<(u64, Form)> {
    let (seconds, rest) = text.split_at_checked(SECONDS)?;
    let offset = rest.ends_with(b"+00:00");
    let form = Form { thousands: 0, offset };
    let fraction = rest.strip_suffix(form.end())?;
    let (fraction, thousands) = match fraction {
        [] => (0, 0),
        [b'.', digits @ ..] if matches!(digits.len(), 3 | 6 | 9) => {
            (number(digits)?, u8::try_from(digits.len() / 3).ok()?)
        }
        _ => return None,
    };
    let form = Form { thousands, offset };
    let [y1, y2, y3, y4, b'-', m1, m2, b'-', d1, d2, b'T', h1, h2, b':', n1, n2, b':', s1, s2] =
        *<&[u8; SECONDS]>::try_from(seconds).ok()?
    else {
        return None;
    };
    let (year, month) = (number(&[y1, y2, y3, y4])?, number(&[m1, m2])?);
    let (day, hour) = (number(&[d1, d2])?, number(&[h1, h2])?);
    let (minute, second) = (number(&[n1, n2])?, number(&[s1, s2])?);
    if year < 1970 || hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let days = days(year, month, day)?;
    // A day that no month has would come back as one of the next.
    if civil(days) != (year, month, day) {
        return None;
    }
    let seconds = ((days * 24 + hour) * 60 + minute) * 60 + second;
    Some((seconds.checked_mul(form.units())?.checked_add(fraction)?, form))
}

/// Writes a time to a buffer of the length of its form, or fails after 9999.
pub(crate) fn format(units: u64, form: Form, out: &mut [u8]) -> Option<()> {
    let (seconds, fraction) = (units / form.units(), units % form.units());
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / 86_400);
    let (year, month, day) = civil(days);
    if year > 9999 {
        return None;
    }
    let mut out = out;
    let mut put = |text: &[u8], digits: usize, mut value: u64| {
        let (head, rest) = std::mem::take(&mut out).split_at_mut_checked(text.len())?;
        head.copy_from_slice(text);
        let (number, rest) = rest.split_at_mut_checked(digits)?;
        for digit in number.iter_mut().rev() {
            *digit = b'0' + u8::try_from(value % 10).unwrap_or(0);
            value /= 10;
        }
        out = rest;
        Some(())
    };
    put(b"", 4, year)?;
    put(b"-", 2, month)?;
    put(b"-", 2, day)?;
    put(b"T", 2, hours % 24)?;
    put(b":", 2, minutes % 60)?;
    put(b":", 2, seconds % 60)?;
    if form.thousands > 0 {
        put(b".", usize::from(form.thousands) * 3, fraction)?;
    }
    put(form.end(), 0, 0)?;
    out.is_empty().then_some(())
}

/// The characters up to the second.
const SECONDS: usize = "2025-11-24T15:00:00".len();

/// Reads a decimal number of digits alone.
fn number(digits: &[u8]) -> Option<u64> {
    digits.iter().try_fold(0, |number, c| {
        Some(number * 10 + u64::from(c.is_ascii_digit().then(|| c - b'0')?))
    })
}

/// Returns the days from 1970-01-01 to a day of the Gregorian calendar
/// (<https://howardhinnant.github.io/date_algorithms.html>). Years are counted from March on.
fn days(year: u64, month: u64, day: u64) -> Option<u64> {
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) {
        return None;
    }
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year / 400, year % 400);
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    (era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year).checked_sub(TO_1970)
}

/// Returns year, month and day so many days after 1970-01-01.
fn civil(days: u64) -> (u64, u64, u64) {
    let days = days + TO_1970;
    let (era, of_era) = (days / 146_097, days % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let (year, month) = (year + era * 400, (month + 2) % 12 + 1);
    (if month <= 2 { year + 1 } else { year }, month, day)
}

/// The days from 0000-03-01 to 1970-01-01.
const TO_1970: u64 = 719_468;

#[cfg(test)]
mod tests {
    use super::*;

    fn round_trip(text: &str) -> Option<u64> {
        let (units, form) = parse(text.as_bytes())?;
        assert_eq!(form.len(), text.len());
        assert_eq!(Form::from_number(form.to_number()), Some(form));
        let mut back = vec![0; form.len()];
        format(units, form, &mut back).unwrap();
        assert_eq!(String::from_utf8(back).unwrap(), text);
        Some(units)
    }

    #[test]
    fn each_day_comes_back() {
        let mut last = None;
        for (year, leap) in (1970..2401).map(|y| (y, y % 4 == 0 && (y % 100 != 0 || y % 400 == 0)))
        {
            for (month, days) in [31, 28 + u64::from(leap), 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
                .iter()
                .enumerate()
            {
                for day in 1..=*days {
                    let text = format!("{year}-{:02}-{day:02}T00:00:00Z", month + 1);
                    let seconds = round_trip(&text);
                    assert_eq!(seconds, Some(last.map_or(0, |last: u64| last + 86_400)), "{text}");
                    last = seconds;
                }
                let none = format!("{year}-{:02}-{:02}T00:00:00Z", month + 1, days + 1);
                assert_eq!(round_trip(&none), None);
            }
        }
    }

    #[test]
    fn each_form_comes_back_and_no_other() {
        assert_eq!(round_trip("2025-11-24T15:00:00Z"), Some(1_763_996_400));
        assert_eq!(round_trip("2025-11-24T15:00:00.123Z"), Some(1_763_996_400_123));
        assert_eq!(round_trip("2025-11-24T15:00:00.000123Z"), Some(1_763_996_400_000_123));
        assert_eq!(
            round_trip("2025-11-24T15:00:00.100000009+00:00"),
            Some(1_763_996_400_100_000_009)
        );
        assert_eq!(round_trip("9999-12-31T23:59:59+00:00"), Some(253_402_300_799));
        for bad in [
            "2025-11-24T15:00:00",
            "2025-11-24 15:00:00Z",
            "2025-11-24t15:00:00Z",
            "2025-11-24T15:00:00z",
            "2025-11-24T15:00:00.Z",
            "2025-11-24T15:00:00.1Z",
            "2025-11-24T15:00:00.1234Z",
            "2025-11-24T15:00:00,123Z",
            "2025-11-24T15:00:00+01:00",
            "2025-11-24T15:00:00-00:00",
            "2025-11-24T24:00:00Z",
            "2025-11-24T15:60:00Z",
            "2025-11-24T15:00:60Z",
            "2025-13-24T15:00:00Z",
            "2025-00-24T15:00:00Z",
            "2025-11-00T15:00:00Z",
            "1969-12-31T23:59:59Z",
            "+025-11-24T15:00:00Z",
            "9999-12-31T23:59:59.999999999Z",
            "",
        ] {
            assert_eq!(round_trip(bad), None, "{bad}");
        }
        let form = Form::from_number(0).unwrap();
        let mut out = vec![0; form.len()];
        assert!(format(253_402_300_800, form, &mut out).is_none(), "the year 10000");
        assert!(format(u64::MAX, form, &mut out).is_none());
        assert_eq!(Form::from_number(8), None);
    }
}
