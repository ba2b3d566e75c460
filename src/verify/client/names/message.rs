//! DNS messages, as far as a question for addresses needs them (RFC 1035, RFC 3596).

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Which addresses are asked for.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Kind {
    /// IPv4.
    A = 1,
    /// IPv6.
    Aaaa = 28,
}

/// What a server says.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Reply {
    /// These addresses, or none of this kind.
    Found(Vec<IpAddr>),
    /// Nobody knows the name.
    NoSuchName,
    /// The server cannot or will not say.
    Refused(u8),
    /// The answer does not fit; ask over TCP.
    Truncated,
}

const HEADER: usize = 12;

/// A question; `None` for a name that cannot be asked for.
pub(super) fn question(id: u16, name: &str, kind: Kind) -> Option<Vec<u8>> {
    let mut bytes = id.to_be_bytes().to_vec();
    // A standard question, recursion desired; one question, and nothing else.
    bytes.extend_from_slice(&[1, 0, 0, 1, 0, 0, 0, 0, 0, 0]);
    for label in name.split('.') {
        let length = u8::try_from(label.len())
            .ok()
            .filter(|length| (1..64).contains(length))?;
        bytes.push(length);
        bytes.extend_from_slice(label.as_bytes());
    }
    if bytes.len() > HEADER + 254 {
        return None;
    }
    bytes.extend_from_slice(&[0, 0, kind as u8, 0, 1]);
    Some(bytes)
}

/// Reads an answer to `question`; `None` when it is none.
pub(super) fn read(answer: &[u8], question: &[u8]) -> Option<Reply> {
    let head = answer.get(..HEADER)?;
    let is_answer = head[..2] == question[..2] && head[2] & 0x80 != 0;
    // Servers repeat the question; the case of its letters is theirs to choose.
    let repeated = answer.get(HEADER..question.len())?;
    if !is_answer || !repeated.eq_ignore_ascii_case(&question[HEADER..]) {
        return None;
    }
    if head[2] & 0x02 != 0 {
        return Some(Reply::Truncated);
    }
    match head[3] & 0x0f {
        0 => {}
        3 => return Some(Reply::NoSuchName),
        code => return Some(Reply::Refused(code)),
    }
    let kind = question[question.len() - 3];
    let records = u16::from_be_bytes([head[6], head[7]]);
    let mut rest = &answer[question.len()..];
    let mut addresses = Vec::new();
    for _ in 0..records {
        rest = after_name(rest)?;
        let (fixed, data) = rest.split_at_checked(10)?;
        let length = usize::from(u16::from_be_bytes([fixed[8], fixed[9]]));
        let (data, next) = data.split_at_checked(length)?;
        // Aliases stand before what they lead to, and are of another kind.
        if fixed[..4] == [0, kind, 0, 1] {
            let four = <[u8; 4]>::try_from(data).map(|ip| IpAddr::from(Ipv4Addr::from(ip)));
            let six = <[u8; 16]>::try_from(data).map(|ip| IpAddr::from(Ipv6Addr::from(ip)));
            addresses.push(four.or(six).ok()?);
        }
        rest = next;
    }
    Some(Reply::Found(addresses))
}

/// What follows a name, which ends with an empty label or with a pointer.
fn after_name(mut bytes: &[u8]) -> Option<&[u8]> {
    loop {
        let (length, rest) = bytes.split_first()?;
        match length {
            0 => return Some(rest),
            0xc0.. => return rest.get(1..),
            length => bytes = rest.get(usize::from(*length)..)?,
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn answered(question: &[u8], flags: [u8; 2], count: u8, records: &[u8]) -> Vec<u8> {
        let mut bytes = question.to_vec();
        bytes[2] = flags[0];
        bytes[3] = flags[1];
        bytes[7] = count;
        bytes.extend_from_slice(records);
        bytes
    }

    #[test]
    fn addresses_behind_an_alias_are_found() {
        let question = question(7, "a.example", Kind::A).expect("a name");
        let alias = [&[0xc0, 12, 0, 5, 0, 1, 0, 0, 0, 9, 0, 4][..], b"\x01b\xc0\x0e"].concat();
        let address = [
            &b"\x01b\xc0\x0e"[..],
            &[0, 1, 0, 1, 0, 0, 0, 9, 0, 4, 192, 0, 2, 1],
        ]
        .concat();
        let answer = answered(&question, [0x81, 0x80], 2, &[alias, address].concat());
        let found = Reply::Found(vec![Ipv4Addr::new(192, 0, 2, 1).into()]);
        assert_eq!(read(&answer, &question), Some(found));
        let capitals = question.iter().map(u8::to_ascii_uppercase).collect::<Vec<_>>();
        assert!(read(&answered(&capitals, [0x81, 0x80], 0, &[]), &question).is_some());
    }

    #[test]
    fn errors_and_strangers_are_told_apart() {
        let ask = question(7, "a.example", Kind::Aaaa).expect("a name");
        assert_eq!(
            read(&answered(&ask, [0x81, 0x83], 0, &[]), &ask),
            Some(Reply::NoSuchName)
        );
        assert_eq!(
            read(&answered(&ask, [0x81, 0x85], 0, &[]), &ask),
            Some(Reply::Refused(5))
        );
        assert_eq!(
            read(&answered(&ask, [0x83, 0x80], 0, &[]), &ask),
            Some(Reply::Truncated)
        );
        assert_eq!(read(&ask, &ask), None, "a question is no answer");
        let other = question(8, "a.example", Kind::Aaaa).expect("a name");
        assert_eq!(
            read(&answered(&other, [0x81, 0x80], 0, &[]), &ask),
            None,
            "another id"
        );
        let other = question(7, "b.example", Kind::Aaaa).expect("a name");
        assert_eq!(
            read(&answered(&other, [0x81, 0x80], 0, &[]), &ask),
            None,
            "another name"
        );
        assert_eq!(question(7, "a..b", Kind::A), None);
        assert_eq!(question(7, &"a".repeat(64), Kind::A), None);
    }

    proptest! {
        #[test]
        fn any_answer_is_read_or_refused(records in prop::collection::vec(any::<u8>(), 0..300), count: u8, flags: [u8; 2]) {
            let question = question(7, "a.example", Kind::A).expect("a name");
            let _ = read(&answered(&question, flags, count, &records), &question);
            let _ = read(&records, &question);
        }
    }
}
