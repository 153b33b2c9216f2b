//! The end of a file: postscript and footer, checked so that nothing in them can lead the decoder astray.
//!
//! Spec: "File Tail". Must not know: stripes' insides. Neighbours: [`super::types`] checks the tree of types.

use bytes::Bytes;
use orc_rust::proto::{CompressionKind, Footer, PostScript, StripeInformation, Type};
use prost::Message;

use super::codec::Codec;
use super::{Room, damaged, types, unread};
use crate::arena::Account;
use crate::error::Result;

/// Decoded messages are that much larger than their bytes, at most.
const MESSAGE_GROWTH: u64 = 64;

/// In the metadata of files whose rows are changes of rows.
const ACID: &str = "hive.acid.";

/// What the end of a file says.
pub(super) struct Tail {
    pub codec: Codec,
    pub types: Vec<Type>,
    pub stripes: Vec<StripeInformation>,
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
