//! ORC files -> Arrow batches with Iceberg's field ids.
//!
//! The crate `orc-rust` decodes; it trusts what a file claims of itself, so it is given a stripe at a time, decompressed
//! and checked by us ([`tail`], [`codec`], [`stripe`], [`runs`], [`moments`]), and its panics end here. It stands on another version
//! of Arrow, which is met through IPC ([`convert`]). [`types`] reads what Iceberg means by ORC's types. Must not know: tables.

mod codec;
mod convert;
mod moments;
mod runs;
mod stripe;
mod tail;
mod types;

#[cfg(test)]
mod tests;

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use arrow_array::RecordBatch;
use arrow_schema::Schema;
use bytes::Bytes;
use orc_rust::ArrowReaderBuilder;

use crate::arena::{Account, Share};
use crate::error::{Error, Kind, Result};
use crate::runtime::Cancel;

/// A file whose footer has been read.
pub(super) struct OrcFile {
    bytes: Bytes,
    tail: tail::Tail,
    schema: Arc<Schema>,
}

impl OrcFile {
    /// Reads the footer.
    pub(super) fn open(bytes: Bytes, account: &Account) -> Result<OrcFile> {
        let tail = tail::read(&bytes, account)?;
        let schema = Arc::new(types::schema(&tail.types)?);
        Ok(OrcFile { bytes, tail, schema })
    }

    /// What every batch has.
    pub(super) fn schema(&self) -> &Arc<Schema> {
        &self.schema
    }

    /// Hands out the rows in order.
    pub(super) fn each_batch(
        &self,
        account: &Account,
        cancel: &Cancel,
        mut take: impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<()> {
        for (at, info) in self.tail.stripes.iter().enumerate() {
            cancel.check()?;
            let mut room = Room::new(account);
            let place = |e: Error| e.context(format!("stripe {at}"));
            if let Some(plain) = stripe::plain(&self.bytes, &self.tail, info, &mut room).map_err(place)? {
                let gave_up = |_| Err(damaged("the decoder gave up"));
                let work = AssertUnwindSafe(|| self.decode(plain, cancel, &mut take));
                catch_unwind(work).unwrap_or_else(gave_up).map_err(place)?;
            }
        }
        Ok(())
    }

    fn decode(
        &self,
        plain: stripe::Plain,
        cancel: &Cancel,
        take: &mut impl FnMut(&RecordBatch) -> Result<()>,
    ) -> Result<()> {
        let builder = ArrowReaderBuilder::try_new(plain.file).map_err(damaged)?.with_batch_size(plain.batch_rows);
        let decoded = builder.schema();
        for batch in builder.build() {
            cancel.check()?;
            take(&convert::batch(&batch.map_err(damaged)?, &decoded, &self.schema)?)?;
        }
        Ok(())
    }
}

/// Memory that the reading of a stripe takes, counted before it hurts.
struct Room<'a> {
    account: &'a Account,
    shares: Vec<Share>,
    left: u64,
}

impl Room<'_> {
    /// Taken from the account in pieces of this size, since the chunks of a stream are many.
    const PIECE_BYTES: u64 = 1 << 20;

    fn new(account: &Account) -> Room<'_> {
        Room { account, shares: Vec::new(), left: 0 }
    }

    fn take(&mut self, bytes: u64) -> Result<()> {
        if bytes > self.left {
            let more = (bytes - self.left).max(Self::PIECE_BYTES);
            self.shares.push(self.account.take(more)?);
            self.left += more;
        }
        self.left -= bytes;
        Ok(())
    }
}

fn damaged(what: impl std::fmt::Display) -> Error {
    Error::new(Kind::InvalidData, format!("ORC: {what}")).hint("write the file again, or restore it")
}

fn unread(what: impl std::fmt::Display) -> Error {
    Error::new(Kind::Unsupported, format!("ORC: {what} cannot be read"))
}
