//! The time of an object as a listing of S3 writes it: ISO 8601 in UTC, to the second or finer.
//!
//! Must not know: what the time is of. Neighbour: [`super::list`].

/// Milliseconds since 1970-01-01 UTC of "2026-11-25T16:41:01.000Z"; None for anything else.
pub(crate) fn milliseconds(text: &str) -> Option<i64> {
    let (date, time) = text.strip_suffix('Z')?.split_once('T')?;
    let [year, month, day] = numbers(date, '-')?;
    let (time, fraction) = time.split_once('.').unwrap_or((time, ""));
    let [hour, minute, second] = numbers(time, ':')?;
    if !(1..=12).contains(&month) || !(1..=31).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    let seconds = ((days(year, month, day) * 24 + hour) * 60 + minute) * 60 + second;
    Some(seconds * 1000 + thousandths(fraction)?)
}

fn numbers(text: &str, between: char) -> Option<[i64; 3]> {
    let mut parts = text.split(between).map(|part| match part.len() {
        1..=4 if part.bytes().all(|byte| byte.is_ascii_digit()) => part.parse().ok(),
        _ => None,
    });
    let numbers = [parts.next()??, parts.next()??, parts.next()??];
    parts.next().is_none().then_some(numbers)
}

fn thousandths(fraction: &str) -> Option<i64> {
    if !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    format!("{fraction:0<3}").get(..3)?.parse().ok()
}

/// Days since 1970-01-01 of the Gregorian calendar: years begin in March, so that the leap day ends one.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month > 2 { year } else { year - 1 };
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_of_listings() {
        for (text, expected) in [
            ("1970-01-01T00:00:00Z", 0),
            ("1970-01-01T00:00:01.5Z", 1500),
            ("2000-02-29T23:59:59.9999Z", 951_868_799_999),
            ("2026-11-25T16:41:01.000Z", 1_795_624_861_000),
            ("1969-12-31T23:59:59.000Z", -1000),
        ] {
            assert_eq!(milliseconds(text), Some(expected), "{text}");
        }
        for text in
            ["", "2026-11-25", "2026-11-25T16:41:01", "2026-13-25T16:41:01Z", "2026-11-25T16:41:01.xZ", "a-b-cTd:e:fZ"]
        {
            assert_eq!(milliseconds(text), None, "{text}");
        }
    }
}
