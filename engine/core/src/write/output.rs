//! Files on their way to the store: one is filled, those before it are finished behind the encoder's back.
//!
//! If the write fails or is given up, every file that it began is removed again: none of them was committed. Runs on the
//! encoder's thread and waits for the runtime there. Must not know: rows, columns. Neighbour: `file`.

use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Handle;
use tokio::sync::Semaphore;
use tokio::task::JoinSet;

use crate::error::{Error, Kind, Result};
use crate::runtime::Cancel;
use crate::store::{Store, Writer};
use crate::write::encode::{Encoded, Encoder};
use crate::write::fanout::Tuple;
use crate::write::figures::figures;
use crate::write::file::File;
use crate::write::request::WriteRequest;
use crate::write::tuple;

/// Files that are finished at a time; small ones are one PUT each, and a PUT takes some 20 ms.
const MOST_FINISHING: usize = 64;
const LOOK_EVERY: Duration = Duration::from_millis(10);

/// The files of one write.
pub(crate) struct Output<'a> {
    store: &'a Store,
    request: &'a WriteRequest,
    encoder: &'a Encoder,
    cancel: &'a Cancel,
    handle: Handle,
    slots: Arc<Semaphore>,
    open: Option<Open>,
    /// Locations of all files so far, by sequence number.
    begun: Vec<String>,
    finishing: JoinSet<Result<Finished>>,
    /// Bytes of them that were not handed on before
    unsent: u64,
    done: Vec<(usize, String)>,
}

/// A file that is there: its number, its JSON, and what was sent of it at the end.
struct Finished {
    number: usize,
    described: String,
    sent: u64,
}

struct Open {
    file: File,
    upload: Writer,
    partition: usize,
    tuple: Tuple,
    number: usize,
}

impl<'a> Output<'a> {
    pub(crate) fn new(
        store: &'a Store,
        request: &'a WriteRequest,
        encoder: &'a Encoder,
        cancel: &'a Cancel,
        handle: Handle,
    ) -> Output<'a> {
        // An eighth of the memory for what is on its way.
        let slots = (request.memory_limit >> 23).clamp(16, 256) as usize;
        Output {
            store,
            request,
            encoder,
            cancel,
            handle,
            slots: Arc::new(Semaphore::new(slots)),
            open: None,
            begun: Vec::new(),
            finishing: JoinSet::new(),
            unsent: 0,
            done: Vec::new(),
        }
    }

    /// Appends a row group to the partition's file. `next` bytes are expected of the one after it.
    pub(crate) fn append(
        &mut self,
        partition: usize,
        tuple: &Tuple,
        columns: Vec<Encoded>,
        rows: usize,
        next: u64,
    ) -> Result<()> {
        if self.open.as_ref().is_some_and(|open| open.partition != partition) {
            self.close()?;
        }
        if self.open.is_none() {
            self.begin(partition, tuple)?;
        }
        let Output { open: Some(open), handle, cancel, .. } = self else {
            return Err(Error::new(Kind::Internal, "no file is open"));
        };
        let upload = &mut open.upload;
        open.file.append(columns, rows, |piece| wait(handle, cancel, upload.write(piece)))?;
        if open.file.bytes() + next / 2 >= self.request.settings.target_file_bytes {
            self.close()?;
        }
        Ok(())
    }

    fn begin(&mut self, partition: usize, tuple: &Tuple) -> Result<()> {
        let number = self.begun.len();
        let folder = tuple::path(&self.request.spec, tuple);
        let folder = if folder.is_empty() { folder } else { format!("{folder}/") };
        let WriteRequest { data_location, file_name, .. } = self.request;
        let location = format!("{data_location}/{folder}{file_name}-{number:05}.parquet");
        let upload = self.store.writer(&location, Arc::clone(&self.slots))?;
        let file = File::new(self.encoder)?;
        self.open = Some(Open { file, upload, partition, tuple: tuple.clone(), number });
        self.begun.push(location);
        Ok(())
    }

    /// Finishes the open file behind the back of whoever fills the next one.
    fn close(&mut self) -> Result<()> {
        let Some(Open { file, mut upload, tuple, number, .. }) = self.open.take() else { return Ok(()) };
        let whole = match file.finish() {
            Ok(whole) => whole,
            Err(error) => {
                self.handle.block_on(upload.abort());
                return Err(error);
            }
        };
        let mut described = figures(&whole.metadata, &self.request.schema, &self.request.settings, &whole.nans);
        let partition = tuple::json(&self.request.spec, &tuple);
        let members = json!({
            "content": "data",
            "file-path": upload.location(),
            "file-format": "parquet",
            "spec-id": self.request.spec.id,
            "partition": partition,
            "record-count": whole.rows,
            "sort-order-id": self.request.sort_order.as_ref().map(|order| order.id),
        });
        if let Value::Object(members) = members {
            described.extend(members);
        }
        let sent = whole.rest.iter().map(|piece| piece.content_length() as u64).sum();
        self.unsent += sent;
        self.finishing.spawn_on(
            async move {
                for piece in whole.rest {
                    if let Err(error) = upload.write(piece).await {
                        upload.abort().await;
                        return Err(error);
                    }
                }
                let size = upload.finish().await?;
                described.insert("file-size-in-bytes".to_owned(), json!(size));
                Ok(Finished { number, described: Value::Object(described).to_string(), sent })
            },
            &self.handle,
        );
        self.collect(MOST_FINISHING)
    }

    /// Takes the files that are finished, until at most so many are not, and little of them is still to be sent.
    fn collect(&mut self, most: usize) -> Result<()> {
        while let Some(ended) = self.finishing.try_join_next() {
            self.take(ended)?;
        }
        while self.finishing.len() > most || self.unsent > self.request.memory_limit / 8 {
            let next = async { Ok(self.finishing.join_next().await) };
            match wait(&self.handle, self.cancel, next)? {
                Some(ended) => self.take(ended)?,
                None => break,
            }
        }
        Ok(())
    }

    fn take(&mut self, ended: std::result::Result<Result<Finished>, tokio::task::JoinError>) -> Result<()> {
        let finished = ended.map_err(|_| Error::new(Kind::Internal, "a file was not finished"))??;
        self.unsent = self.unsent.saturating_sub(finished.sent);
        self.done.push((finished.number, finished.described));
        Ok(())
    }

    /// Waits for every file; their JSON, in the order in which they were begun.
    pub(crate) fn finish(&mut self) -> Result<Vec<String>> {
        self.close()?;
        self.collect(0)?;
        let mut done = std::mem::take(&mut self.done);
        done.sort_unstable_by_key(|(number, _)| *number);
        Ok(done.into_iter().map(|(_, described)| described).collect())
    }

    /// Removes every file of this write. A store that refuses is left alone: the write's own error matters more.
    pub(crate) fn discard(mut self) {
        let handle = self.handle.clone();
        handle.block_on(async {
            if let Some(open) = self.open.take() {
                open.upload.abort().await;
            }
            // Whatever is finished now could not be removed before.
            while self.finishing.join_next().await.is_some() {}
            let _ = self.store.delete(&self.begun).await;
        });
    }
}

/// Waits on this thread, which is none of the runtime's, unless the call is given up.
fn wait<T>(handle: &Handle, cancel: &Cancel, work: impl Future<Output = Result<T>>) -> Result<T> {
    handle.block_on(async {
        tokio::pin!(work);
        loop {
            if let Ok(result) = tokio::time::timeout(LOOK_EVERY, &mut work).await {
                return result;
            }
            cancel.check()?;
        }
    })
}
