//! The core as intakes and sources see it.

use super::core::{Core, Input};
use super::intake::{self, Unavailable};
use crate::model::event::{Draft, Silence};
use crate::model::id::SourceId;
use crate::model::intent::Refusal;
use crate::model::primary::Primary;
use crate::model::report::{Memory, Report};
use crate::model::time::Time;

impl Core {
    async fn take(&self, input: Input) -> Result<(), Unavailable> {
        self.write(input).await.map(|_| ()).map_err(|refusal: Refusal| Unavailable(refusal.why))
    }
}

impl intake::Core for Core {
    async fn report(&self, report: Report) -> Result<(), Unavailable> {
        self.take(Input::Report(report)).await
    }

    async fn remember(&self, memory: Memory) -> Result<(), Unavailable> {
        self.take(Input::Remember(memory)).await
    }

    async fn record(&self, drafts: Vec<Draft>) -> Result<(), Unavailable> {
        self.take(Input::Record(drafts)).await
    }

    async fn silences(&self, source: SourceId, silences: Vec<Silence>) -> Result<(), Unavailable> {
        self.take(Input::Silences { source, silences }).await
    }

    async fn source_failed(&self, source: SourceId, why: String) -> Result<(), Unavailable> {
        self.take(Input::SourceFailed { source, why }).await
    }

    async fn source_recovered(&self, source: SourceId) -> Result<(), Unavailable> {
        self.take(Input::SourceRecovered(source)).await
    }

    async fn look<T: Send + 'static>(&self, read: impl FnOnce(&Primary) -> T + Send + 'static) -> Result<T, Unavailable> {
        self.read(read).await.ok_or_else(|| Unavailable("the server is stopping".into()))
    }

    fn now(&self) -> Time {
        Core::now(self)
    }
}
