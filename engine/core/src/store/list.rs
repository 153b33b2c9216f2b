//! Listings of S3: ListObjectsV2, page by page, keys exactly as they are stored.
//!
//! Written here because `object_store`'s paths cannot hold every key (an empty segment, a trailing slash). Must not
//! know: locations, the caller's scheme.

use super::Listed;
use super::answer::element;
use super::moment::milliseconds;
use super::retry::{Failure, Retry};
use super::s3::{Bucket, encode};
use crate::error::{Error, Kind, Result};

/// A page holds 1000 keys of at most 1024 bytes, percent-encoded, and some 300 bytes beside each.
const LARGEST_PAGE: usize = 8 << 20;

/// Every object whose key begins with `prefix`, by its key.
pub(crate) async fn list(bucket: &Bucket, prefix: &str, most: usize) -> Result<Vec<Listed>> {
    let mut objects = Vec::new();
    let mut token: Option<String> = None;
    loop {
        let mut query = format!("encoding-type=url&list-type=2&prefix={}", encode(prefix, b""));
        if let Some(token) = &token {
            query = format!("continuation-token={}&{query}", encode(token, b""));
        }
        let text = page(bucket, &query).await?;
        let next = parse(&text, &mut objects).map_err(Error::from)?;
        if objects.len() > most {
            return Err(Error::new(Kind::MemoryLimit, format!("more than {most} objects")));
        }
        if next.is_none() {
            return Ok(objects);
        }
        if next == token {
            return Err(Error::new(Kind::Storage, "the store's listing does not advance"));
        }
        token = next;
    }
}

async fn page(bucket: &Bucket, query: &str) -> Result<String> {
    let mut retry = Retry::new(bucket.settings.retry);
    loop {
        match bucket.query(query, LARGEST_PAGE).await {
            Ok(text) => return Ok(text),
            Err(failure) => retry.pause(failure, bucket.reached()).await?,
        }
    }
}

/// Appends a page's objects; returns the token of the next page.
fn parse(xml: &str, objects: &mut Vec<Listed>) -> Result<Option<String>, Failure> {
    let bad = || Failure::lasting(Kind::Storage, "the store answered with something that is not a listing");
    if !xml.contains("<ListBucketResult") {
        return Err(bad());
    }
    let is_encoded = element(xml, "EncodingType").is_some_and(|kind| kind.trim() == "url");
    for part in xml.split("<Contents>").skip(1) {
        let part = part.split_once("</Contents>").ok_or_else(bad)?.0;
        let key = unescape(element(part, "Key").ok_or_else(bad)?).ok_or_else(bad)?;
        let key = if is_encoded { decode(&key).ok_or_else(bad)? } else { key };
        let size = element(part, "Size").and_then(|size| size.trim().parse().ok()).ok_or_else(bad)?;
        let modified_ms = element(part, "LastModified").and_then(|text| milliseconds(text.trim()));
        if !key.ends_with('/') {
            objects.push(Listed { location: key, size, modified_ms }); // a key that ends with a slash marks a folder
        }
    }
    let more = element(xml, "IsTruncated").is_some_and(|text| text.trim() == "true");
    match (more, element(xml, "NextContinuationToken")) {
        (true, Some(token)) => unescape(token).map(Some).ok_or_else(bad),
        (true, None) => Err(bad()),
        (false, _) => Ok(None),
    }
}

/// Percent-decodes a key; a plus is a space, as S3 writes it.
fn decode(text: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16);
                u8::try_from(digit(rest.next())? * 16 + digit(rest.next())?).ok()?
            }
            other => other,
        });
    }
    String::from_utf8(bytes).ok()
}

/// Resolves XML's entities.
fn unescape(text: &str) -> Option<String> {
    let mut plain = String::with_capacity(text.len());
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('&') {
        let (entity, after) = after.split_once(';')?;
        plain.push_str(before);
        plain.push(match entity {
            "amp" => '&',
            "lt" => '<',
            "gt" => '>',
            "quot" => '"',
            "apos" => '\'',
            _ => match entity.strip_prefix("#x") {
                Some(hex) => char::from_u32(u32::from_str_radix(hex, 16).ok()?)?,
                None => char::from_u32(entity.strip_prefix('#')?.parse().ok()?)?,
            },
        });
        rest = after;
    }
    plain.push_str(rest);
    Some(plain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_restored_exactly() {
        let page = |encoding: &str, key: &str| {
            format!(
                "<?xml version=\"1.0\"?><ListBucketResult xmlns=\"x\">{encoding}<IsTruncated>true</IsTruncated>\
                 <NextContinuationToken>a&amp;b</NextContinuationToken><Contents><Key>{key}</Key>\
                 <LastModified>1970-01-01T00:00:01.5Z</LastModified><Size>7</Size></Contents>\
                 <Contents><Key>folder/</Key><Size>0</Size></Contents></ListBucketResult>"
            )
        };
        let mut found = Vec::new();
        let url = "<EncodingType>url</EncodingType>";
        assert_eq!(parse(&page(url, "a//%25+b%2B%C3%BC%26"), &mut found).unwrap().as_deref(), Some("a&b"));
        parse(&page("", "a%20+&amp;&#252;"), &mut found).unwrap();
        let listed = |key: &str| Listed { location: key.to_owned(), size: 7, modified_ms: Some(1500) };
        assert_eq!(found, [listed("a//% b+ü&"), listed("a%20+&ü")]);
        assert!(parse("<html/>", &mut found).is_err());
        assert!(parse(&page(url, "%zz"), &mut found).is_err());
    }
}
