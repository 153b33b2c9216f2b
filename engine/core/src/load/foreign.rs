//! Files of a table that are not Parquet: read whole and made Parquet in memory when they are opened.
//!
//! A name says what to expect, the first bytes what it is. Must not know: formats' insides ([`crate::formats`]).
//! Neighbour: [`super::open`].

use std::sync::Arc;

use crate::arena::Share;
use crate::error::{Error, Kind, Result};
use crate::fetch::PinnedObject;
use crate::formats::Format;
use crate::load::Context;
use crate::parquet::footer::{self, Footer};

/// A file's footer.
pub(crate) struct Opened {
    pub footer: Footer,
    /// The account of a file that was made in memory
    pub made: Option<Share>,
}

/// Reads the footer of a file, or makes one.
pub(crate) async fn open(context: &Arc<Context>, object: &PinnedObject) -> Result<Opened> {
    let is_table = !context.request.embedded_schema;
    if is_table && Format::of_name(object.location()).is_some() {
        return match made(context, object).await? {
            Some(opened) => Ok(opened),
            None => parquet(object).await,
        };
    }
    match parquet(object).await {
        Err(error) if is_table && error.kind() == Kind::ParquetDecoding => made(context, object).await?.ok_or(error),
        other => other,
    }
}

async fn parquet(object: &PinnedObject) -> Result<Opened> {
    Ok(Opened { footer: footer::read(object).await?, made: None })
}

/// The file as Parquet; None if it starts like none of the other formats.
async fn made(context: &Arc<Context>, object: &PinnedObject) -> Result<Option<Opened>> {
    let place = |error: Error| error.at(object.location());
    let (_, size) = object.read_suffix(1).await?;
    let start = object.read_range(0..size.min(4)).await?;
    let Some(format) = Format::of_bytes(&start) else { return Ok(None) };
    let read = context.account.take(size).map_err(place)?;
    let whole = object.read_range(0..size).await?;
    let (cancel, account) = (context.cancel.clone(), context.account.clone());
    let make = move || footer::of_bytes(format.to_parquet(whole, &account, &cancel)?);
    let footer = context.decode(make).await.map_err(place)?;
    drop(read);
    let made = context.account.take(footer.file_size).map_err(place)?;
    Ok(Some(Opened { footer, made: Some(made) }))
}
