//! Several Grapes, of several kinds, that have joined each other.

use anyhow::{Result, ensure};
use futures_util::future::try_join_all;

use crate::grape::{Grape, Kind, Options, Seat};
use crate::wait;

/// Which Grapes bootstrap to which others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Shape {
    /// All to the first, which has no bootstrap address.
    Star,
    /// Each to the one before, and the first to the last, which is not there yet.
    Ring,
    /// Each to all others.
    Mesh,
}

impl Shape {
    fn bootstrap(self, own: usize, ports: &[u16]) -> Vec<u16> {
        let others = |other: &usize| match self {
            Self::Star => own > 0 && *other == 0,
            Self::Ring => (*other + 1) % ports.len() == own && *other != own,
            Self::Mesh => *other != own,
        };
        (0..ports.len()).filter(others).map(|other| ports[other]).collect()
    }
}

/// Grapes that know each other, in the order in which they were named.
#[derive(Debug)]
pub struct Network {
    /// The Grapes. One that is taken out is killed when dropped.
    pub grapes: Vec<Grape>,
    options: Options,
}

/// Starts this many of our Grapes, of which the others join through the first. Nobody waits until they
/// know each other.
///
/// # Errors
/// When one does not start.
pub async fn crowd(count: usize) -> Result<Vec<Grape>> {
    let first = Grape::start(Kind::Ours, Seat::take()?, &Options::default()).await?;
    let options = Options { bootstrap: vec![first.dht_port()], ..Options::default() };
    let mut grapes = vec![first];
    while grapes.len() < count {
        // A few at a time, lest they wait for each other's processes to start.
        let more = (count - grapes.len()).min(10);
        let seats = (0..more).map(|_| Seat::take()).collect::<Result<Vec<_>>>()?;
        let starting = seats.into_iter().map(|seat| Grape::start(Kind::Ours, seat, &options));
        grapes.extend(try_join_all(starting).await?);
    }
    Ok(grapes)
}

impl Network {
    /// Starts Grapes, and waits until each has all others in its routing table. At most 20, since
    /// a table need not hold more.
    ///
    /// # Errors
    /// When one does not start, or they do not find each other.
    pub async fn start(shape: Shape, kinds: &[Kind]) -> Result<Self> {
        Self::start_with(shape, kinds, &Options::default()).await
    }

    /// As [`Network::start`], with options; the bootstrap addresses follow from the shape.
    ///
    /// # Errors
    /// When one does not start, or they do not find each other.
    pub async fn start_with(shape: Shape, kinds: &[Kind], options: &Options) -> Result<Self> {
        ensure!(kinds.len() <= 20, "a routing table need not hold {} nodes", kinds.len());
        let seats = kinds.iter().map(|_| Seat::take()).collect::<Result<Vec<_>>>()?;
        let ports: Vec<u16> = seats.iter().map(|seat| seat.dht.number()).collect();
        let mut grapes = Vec::new();
        for (own, (kind, seat)) in kinds.iter().zip(seats).enumerate() {
            let bootstrap = shape.bootstrap(own, &ports);
            let options = Options { bootstrap, ..options.clone() };
            grapes.push(Grape::start(*kind, seat, &options).await?);
        }
        let mut network = Self { grapes, options: options.clone() };
        network.settled().await?;
        Ok(network)
    }

    /// Starts one more Grape, which joins through the first, and waits until all know each other.
    ///
    /// # Errors
    /// When it does not start, or they do not find each other.
    pub async fn join(&mut self, kind: Kind) -> Result<()> {
        self.join_unsettled(kind).await?;
        self.settled().await
    }

    /// As [`Network::join`], without waiting until all know each other: who has died may still be
    /// in their tables.
    ///
    /// # Errors
    /// When it does not start.
    pub async fn join_unsettled(&mut self, kind: Kind) -> Result<&Grape> {
        let bootstrap = vec![self.grapes[0].dht_port()];
        let options = Options { bootstrap, ..self.options.clone() };
        self.grapes.push(Grape::start(kind, Seat::take()?, &options).await?);
        Ok(&self.grapes[self.grapes.len() - 1])
    }

    /// Grapes that all join through a node that is no Grape, at a DHT port of 127.0.0.1.
    ///
    /// # Errors
    /// When one does not start, or they do not find each other.
    pub async fn start_through(port: u16, kinds: &[Kind]) -> Result<Self> {
        let options = Options { bootstrap: vec![port], ..Options::default() };
        let mut grapes = Vec::new();
        for kind in kinds {
            grapes.push(Grape::start(*kind, Seat::take()?, &options).await?);
        }
        let mut network = Self { grapes, options };
        // The node that is no Grape is one more.
        network.knows(kinds.len() as u64).await?;
        Ok(network)
    }

    /// A network named by letters: `n` for npm's Grape, `o` for ours, as in `noo`.
    ///
    /// # Errors
    /// When one does not start, or they do not find each other.
    pub async fn of(shape: Shape, letters: &str) -> Result<Self> {
        Self::start(shape, &kinds(letters)?).await
    }

    async fn settled(&mut self) -> Result<()> {
        self.knows(self.grapes.len() as u64 - 1).await
    }

    async fn knows(&mut self, others: u64) -> Result<()> {
        for grape in &mut self.grapes {
            let what = format!("{grape} knows all {others} others");
            wait::until(&what, async || {
                let nodes = grape.nodes().await?;
                ensure!(nodes == others, "it knows {nodes}");
                Ok(())
            })
            .await?;
        }
        Ok(())
    }
}

/// Reads letters as [`Network::of`] does.
///
/// # Errors
/// When a letter is neither `n` nor `o`.
pub fn kinds(letters: &str) -> Result<Vec<Kind>> {
    let kind = |letter| match letter {
        'n' => Ok(Kind::Npm),
        'o' => Ok(Kind::Ours),
        other => anyhow::bail!("{other:?} is neither n nor o"),
    };
    letters.chars().map(kind).collect()
}
