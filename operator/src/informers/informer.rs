//! One watch with many readers: a store that all of them read, and events that each of them follows.

use std::fmt::Debug;
use std::hash::Hash;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use futures_util::stream::{self, Stream, StreamExt};
use kube::Resource;
use kube::runtime::reflector::{self, Lookup, ObjectRef, Store};
use kube::runtime::watcher::{self, Event};
use tokio::sync::{mpsc, watch};

use crate::api_client::is_refusal;

/// The objects of one kind, in one namespace or in all. Clones share the store and the watch.
#[derive(Clone)]
pub struct Informer<K>
where
    K: Resource + Clone + 'static,
    K::DynamicType: Hash + Eq + Clone + Default,
{
    store: Store<K>,
    progress: watch::Receiver<Progress>,
    subscribers: Arc<Mutex<Vec<Subscriber<K>>>>,
}

type Subscriber<K> = mpsc::UnboundedSender<Event<Arc<K>>>;

/// How far a watch has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Progress {
    /// The first list has not ended.
    Listing,
    /// The API server refused the first list.
    Refused,
    /// A list has ended: the store is complete.
    Complete,
}

impl<K> Informer<K>
where
    K: Resource + Lookup<DynamicType = <K as Resource>::DynamicType>,
    K: Clone + Debug + Send + Sync + 'static,
    <K as Resource>::DynamicType: Hash + Eq + Clone + Default,
{
    /// An informer of what `events` report. The store is filled while the future is polled; the future
    /// ends when the events end.
    pub fn new(
        events: impl Stream<Item = watcher::Result<Event<K>>>,
    ) -> (Self, impl Future<Output = ()>) {
        let (store, mut writer) = reflector::store();
        let (report, progress) = watch::channel(Progress::Listing);
        let informer = Self { store, progress, subscribers: Arc::default() };
        let reader = informer.clone();
        let filling = async move {
            let mut events = std::pin::pin!(events);
            while let Some(event) = events.next().await {
                let event = match event {
                    Ok(event) => event,
                    Err(error) => {
                        let refused = is_refusal(&error);
                        report.send_if_modified(|progress| {
                            let next = match *progress {
                                Progress::Complete => Progress::Complete,
                                _ if refused => Progress::Refused,
                                now => now,
                            };
                            std::mem::replace(progress, next) != next
                        });
                        continue;
                    }
                };
                let complete = matches!(event, Event::InitDone);
                reader.apply(&mut writer, event);
                if complete {
                    report.send_replace(Progress::Complete);
                }
            }
        };
        (informer, filling)
    }

    /// The copies of the objects.
    pub fn store(&self) -> &Store<K> {
        &self.store
    }

    /// Whether nothing more is waited for: the store is complete, or the objects may not be listed.
    pub fn is_settled(&self) -> bool {
        *self.progress.borrow() != Progress::Listing
    }

    /// Completes when the informer [is settled](Self::is_settled); `false` when it never will be,
    /// because its events have ended.
    pub async fn settled(&self) -> bool {
        let mut progress = self.progress.clone();
        progress.wait_for(|progress| *progress != Progress::Listing).await.is_ok()
    }

    /// The events from now on. A subscriber first gets what the store has as one list, if the store is
    /// complete. A new list, too, arrives when it has ended, and not object by object.
    pub fn subscribe(&self) -> impl Stream<Item = Event<Arc<K>>> + use<K> {
        let (subscriber, events) = mpsc::unbounded_channel();
        // Locked, so that no event is between the list and the events that follow it.
        let mut subscribers = self.subscribers();
        if *self.progress.borrow() == Progress::Complete {
            self.list(&subscriber);
        }
        subscribers.push(subscriber);
        stream::unfold(events, |mut events| async move { Some((events.recv().await?, events)) })
    }

    fn apply(&self, writer: &mut reflector::store::Writer<K>, event: Event<K>) {
        let mut subscribers = self.subscribers();
        writer.apply_watcher_event(&event);
        // Subscribers that are gone leave the list.
        match event {
            Event::Init | Event::InitApply(_) => {}
            Event::InitDone => subscribers.retain(|subscriber| self.list(subscriber)),
            Event::Apply(object) => {
                // The copy of the store, so that there is one copy.
                if let Some(object) = self.store.get(&ObjectRef::from_obj(&object)) {
                    subscribers.retain(|it| it.send(Event::Apply(Arc::clone(&object))).is_ok());
                }
            }
            Event::Delete(object) => {
                let object = Arc::new(object);
                subscribers.retain(|it| it.send(Event::Delete(Arc::clone(&object))).is_ok());
            }
        }
    }

    /// Sends what the store has as one list; `false` where the subscriber is gone.
    fn list(&self, subscriber: &Subscriber<K>) -> bool {
        let objects = self.store.state().into_iter().map(Event::InitApply);
        let list = [Event::Init].into_iter().chain(objects).chain([Event::InitDone]);
        list.map(|event| subscriber.send(event)).all(|sent| sent.is_ok())
    }

    fn subscribers(&self) -> MutexGuard<'_, Vec<Subscriber<K>>> {
        // No work on the list leaves it half done.
        self.subscribers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;
    use k8s_openapi::api::core::v1::ConfigMap;
    use kube::core::Status;
    use kube::{Error, ResourceExt};

    use super::*;

    type Events = mpsc::UnboundedSender<watcher::Result<Event<ConfigMap>>>;

    fn object(name: &str) -> ConfigMap {
        let mut object = ConfigMap::default();
        object.metadata.name = Some(name.to_owned());
        object
    }

    fn informer() -> (Events, Informer<ConfigMap>, impl Future<Output = ()>) {
        let (send, mut events) = mpsc::unbounded_channel();
        let events = stream::poll_fn(move |context| events.poll_recv(context));
        let (informer, filling) = Informer::new(events);
        (send, informer, filling)
    }

    fn list(events: &Events, names: &[&str]) {
        let objects = names.iter().map(|name| Event::InitApply(object(name)));
        for event in [Event::Init].into_iter().chain(objects).chain([Event::InitDone]) {
            events.send(Ok(event)).unwrap();
        }
    }

    /// The events that have arrived, as words.
    fn arrived(events: &mut (impl Stream<Item = Event<Arc<ConfigMap>>> + Unpin)) -> Vec<String> {
        let mut words = Vec::new();
        while let Some(Some(event)) = events.next().now_or_never() {
            words.push(match event {
                Event::Init => "init".to_owned(),
                Event::InitApply(object) => format!("listed {}", object.name_any()),
                Event::InitDone => "listed all".to_owned(),
                Event::Apply(object) => format!("applied {}", object.name_any()),
                Event::Delete(object) => format!("deleted {}", object.name_any()),
            });
        }
        words
    }

    #[test]
    fn a_later_subscriber_begins_with_the_list_and_misses_nothing_after_it() {
        let (events, informer, filling) = informer();
        let mut filling = std::pin::pin!(filling);
        let mut fill = || assert!(filling.as_mut().now_or_never().is_none());
        let mut early = Box::pin(informer.subscribe());
        assert_eq!(arrived(&mut early), [""; 0]);

        list(&events, &["a"]);
        fill();
        assert_eq!(arrived(&mut early), ["init", "listed a", "listed all"]);
        let mut late = Box::pin(informer.subscribe());
        assert_eq!(arrived(&mut late), ["init", "listed a", "listed all"]);

        events.send(Ok(Event::Apply(object("b")))).unwrap();
        events.send(Ok(Event::Delete(object("a")))).unwrap();
        fill();
        for subscriber in [&mut early, &mut late] {
            assert_eq!(arrived(subscriber), ["applied b", "deleted a"]);
        }
        assert_eq!(informer.store().len(), 1);

        list(&events, &["c"]);
        fill();
        drop(late);
        assert_eq!(arrived(&mut early), ["init", "listed c", "listed all"]);
    }

    #[test]
    fn an_informer_is_settled_when_the_first_list_has_ended() {
        let (events, informer, filling) = informer();
        let mut filling = std::pin::pin!(filling);
        events.send(Ok(Event::Init)).unwrap();
        events.send(Ok(Event::InitApply(object("a")))).unwrap();
        assert!(filling.as_mut().now_or_never().is_none());
        assert!(!informer.is_settled());
        assert_eq!(informer.settled().now_or_never(), None);
        events.send(Ok(Event::InitDone)).unwrap();
        assert!(filling.as_mut().now_or_never().is_none());
        assert!(informer.is_settled());
        // Each of several tasks that wait.
        assert_eq!(informer.settled().now_or_never(), Some(true));
        assert_eq!(informer.clone().settled().now_or_never(), Some(true));
    }

    #[test]
    fn an_informer_whose_list_is_refused_is_settled_and_empty() {
        let (events, informer, filling) = informer();
        let mut filling = std::pin::pin!(filling);
        let refusal = |code| {
            let status = Status { code, ..Status::default() };
            watcher::Error::InitialListFailed(Error::Api(Box::new(status)))
        };
        events.send(Err(refusal(500))).unwrap();
        assert!(filling.as_mut().now_or_never().is_none());
        assert!(!informer.is_settled(), "the API server may answer soon");
        events.send(Err(refusal(403))).unwrap();
        assert!(filling.as_mut().now_or_never().is_none());
        assert!(informer.is_settled());
        assert_eq!(arrived(&mut Box::pin(informer.subscribe())), [""; 0]);
        drop(events);
        assert!(filling.as_mut().now_or_never().is_some());
    }
}
