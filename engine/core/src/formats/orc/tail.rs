//! The end of a file: postscript and footer, checked so that nothing in them can lead the decoder astray.
//!
//! Spec: "File Tail". Must not know: stripes' insides. Neighbours: [`super::types`] checks the tree of types.

use bytes::Bytes;
use orc_rust::proto::{CompressionKind, Encryption, PostScript, StripeInformation, Type, UserMetadataItem};
use prost::Message;

use super::codec::Codec;
use super::{Room, damaged, types, unread};
use crate::arena::Account;
use crate::error::Result;

/// Decoded messages are that much larger than their bytes, at most: one takes two bytes, and a list of them has room for
/// twice as many.
pub(super) const MESSAGE_GROWTH: u64 = {
    let (stripe, column) = (size_of::<StripeInformation>() as u64, size_of::<Type>() as u64);
    if stripe > column { stripe } else { column }
};

/// In the metadata of files whose rows are changes of rows.
const ACID: &str = "hive.acid.";

/// What the end of a file says.
pub(super) struct Tail {
    pub codec: Codec,
    pub types: Vec<Type>,
    pub stripes: Vec<StripeInformation>,
}

/// What of a footer is looked at. Statistics of columns, of all messages the largest beside their bytes, are passed over.
#[derive(Clone, PartialEq, Message)]
struct Footer {
    #[prost(message, repeated, tag = "3")]
    stripes: Vec<StripeInformation>,
    #[prost(message, repeated, tag = "4")]
    types: Vec<Type>,
    #[prost(message, repeated, tag = "5")]
    metadata: Vec<UserMetadataItem>,
    #[prost(uint64, optional, tag = "6")]
    number_of_rows: Option<u64>,
    #[prost(message, optional, tag = "10")]
    encryption: Option<Encryption>,
}

/// Reads it.
pub(super) fn read(bytes: &Bytes, account: &Account) -> Result<Tail> {
    let (rest, length) = match bytes.split_last() {
        Some((length, rest)) => (rest, usize::from(*length)),
        None => return Err(damaged("an empty file")),
    };
    let (rest, postscript) = split_end(rest, length).ok_or_else(|| damaged("no room for a postscript"))?;
    let postscript = PostScript::decode(postscript).map_err(|e| damaged(format!("postscript: {e}")))?;
    if postscript.magic.as_deref().is_some_and(|magic| magic != "ORC") {
        return Err(damaged("the file does not end as one of ORC does"));
    }
    let kind = postscript.compression.unwrap_or(0);
    let kind = CompressionKind::try_from(kind).map_err(|_| unread(format!("compression kind {kind}")))?;
    let codec = Codec::new(kind, postscript.compression_block_size)?;
    let length = usize::try_from(postscript.footer_length()).unwrap_or(usize::MAX);
    let (_, footer) = split_end(rest, length).ok_or_else(|| damaged("no room for a footer"))?;

    let (mut room, mut plain) = (Room::new(account), Vec::new());
    codec.plain(footer, &mut plain, &mut room).map_err(|e| e.context("footer"))?;
    room.take(MESSAGE_GROWTH * plain.len() as u64)?;
    let footer = Footer::decode(plain.as_slice()).map_err(|e| damaged(format!("footer: {e}")))?;
    if footer.encryption.as_ref().is_some_and(|found| !found.variants.is_empty()) {
        return Err(unread("an encrypted file"));
    }
    if footer.metadata.iter().any(|item| item.name().starts_with(ACID)) {
        return Err(
            unread("a file of Hive's transactional tables").hint("copy the table to a plain or an Iceberg table")
        );
    }
    let claimed = footer.number_of_rows();
    let mut types = footer.types;
    types::check(&mut types)?;
    let rows = footer.stripes.iter().fold(0_u64, |sum, stripe| sum.saturating_add(stripe.number_of_rows()));
    if rows != claimed {
        return Err(damaged(format!("{claimed} rows by its footer, {rows} in its stripes")));
    }
    Ok(Tail { codec, types, stripes: footer.stripes })
}

fn split_end(bytes: &[u8], length: usize) -> Option<(&[u8], &[u8])> {
    bytes.split_at_checked(bytes.len().checked_sub(length)?)
}
