use super::*;
use crate::decisions::tests::{FLEET, QUESTION, World, decided, encode, key};
use crate::decisions::{Decisions, Lookup};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

/// A server that ends with the test.
struct Process {
    process: Child,
    port: u16,
    _folder: tempfile::TempDir,
}

impl Process {
    /// `None` where the program is not installed.
    fn start(port: u16) -> Option<Self> {
        let folder = tempfile::tempdir().unwrap();
        let started = Command::new("redis-server")
            .args(["--bind", "127.0.0.1", "--port", &port.to_string()])
            .args(["--requirepass", "hidden"])
            .args(["--save", "", "--appendonly", "no", "--dir"])
            .arg(folder.path())
            .stdout(Stdio::null())
            .spawn();
        let Ok(process) = started else {
            eprintln!("skipped: `redis-server` is not installed");
            return None;
        };
        until(|| TcpStream::connect(("127.0.0.1", port)).is_ok());
        Some(Self {
            process,
            port,
            _folder: folder,
        })
    }

    fn url(&self) -> RedisUrl {
        url(self.port)
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

fn url(port: u16) -> RedisUrl {
    let url = format!("redis://:hidden@127.0.0.1:{port}/1");
    url.parse().unwrap()
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}

fn until(mut is_so: impl FnMut() -> bool) {
    while !is_so() {
        std::thread::yield_now();
    }
}

/// A client that tries again at once.
fn client(url: &RedisUrl) -> Arc<Redis> {
    Arc::new(Redis::resting(url, Duration::ZERO).unwrap())
}

fn decisions(world: &World, redis: &Arc<Redis>) -> Decisions {
    let shared = Arc::clone(redis) as Arc<dyn Shared>;
    Decisions::new(64, &world.directory(), Some(Arc::new(encode)), Some(shared))
}

/// Whom a question is led to; decided here and now where nobody knows.
fn ask(decisions: &Decisions, world: &World, question: &str) -> String {
    let patience = Some(Duration::from_secs(60));
    match decisions.lookup(&key(question), &world.directory(), patience) {
        Lookup::Hit(served) => served.agent,
        Lookup::Lead(lead) => {
            lead.keep(decided("translator", &[]), None);
            "translator".to_owned()
        }
        Lookup::Pass => panic!("nobody else is asking"),
    }
}

#[test]
fn decisions_outlive_a_process_and_a_server_that_goes_away_costs_no_answer() {
    let Some(server) = Process::start(free_port()) else {
        return;
    };
    let world = World::with(&FLEET);
    let first = client(&server.url());
    ask(&decisions(&world, &first), &world, QUESTION);

    // Another process with the same fleet: its connection comes when it comes.
    let second = client(&server.url());
    until(|| {
        let later = decisions(&world, &second);
        ask(&later, &world, QUESTION);
        later.counts().shared_hits == 1
    });

    // Killed in the middle.
    let port = server.port;
    drop(server);
    let later = decisions(&world, &second);
    assert_eq!(ask(&later, &world, QUESTION), "translator");
    assert_eq!(ask(&later, &world, QUESTION), "translator");
    assert_eq!((later.counts().shared_hits, later.counts().hits), (0, 1));
    until(|| {
        ask(&decisions(&world, &second), &world, "another in french");
        second.counts().failures > 0 && second.counts().dropped > 0
    });

    // And back again, empty.
    let Some(_server) = Process::start(port) else {
        return;
    };
    until(|| {
        let later = decisions(&world, &second);
        ask(&later, &world, QUESTION);
        later.counts().shared_hits == 1
    });
}

#[test]
fn a_server_that_never_answers_is_left_alone() {
    // It takes connections, and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").unwrap();
    let redis = Redis::new(&url(silent.local_addr().unwrap().port())).unwrap();
    until(|| redis.counts().failures == 1);
    // Within its rest nobody connects again.
    assert_eq!(redis.get("name"), None);
    redis.put("name".to_owned(), Vec::new());
    until(|| redis.counts().dropped == 1);
    assert_eq!(redis.counts().failures, 1);
}

#[test]
fn what_is_no_text_of_ours_on_a_server_is_a_miss() {
    let Some(server) = Process::start(free_port()) else {
        return;
    };
    let world = World::with(&FLEET);
    let redis = client(&server.url());
    let name = crate::decisions::shared::name(&key(QUESTION));
    redis.put(name.clone(), vec![0xff; 40]);
    until(|| redis.get(&name).is_some());
    let decisions = decisions(&world, &redis);
    assert_eq!(ask(&decisions, &world, QUESTION), "translator");
    assert_eq!(decisions.counts().shared_hits, 0);
    // And is replaced.
    until(|| {
        redis
            .get(&name)
            .is_some_and(|value| value.starts_with(b"{"))
    });
}

#[test]
fn tls_towards_a_server_that_speaks_none_is_a_failure_like_any() {
    let Some(server) = Process::start(free_port()) else {
        return;
    };
    let url = format!("rediss://127.0.0.1:{}", server.port)
        .parse()
        .unwrap();
    let redis = client(&url);
    until(|| redis.counts().failures > 0);
    assert_eq!(redis.get("name"), None);
}

#[test]
fn an_address_shows_neither_user_nor_password() {
    for text in [
        "redis://ada:hidden@host:1/2",
        "redis://:hid@den@host:1/2",
        "rediss://:hidden@host",
        "redis://host",
    ] {
        if let Ok(url) = text.parse::<RedisUrl>() {
            let shown = format!("{url} {url:?}");
            assert!(shown.contains("host") && !shown.contains("hid"), "{shown}");
            assert_eq!(url.secret(), text);
        }
    }
    for text in [
        "http://:hidden@host",
        "redis//hidden",
        "redis://hidden@ host",
        "redis://host/hidden",
        "unix:///hidden",
        "",
    ] {
        let error = text.parse::<RedisUrl>().unwrap_err();
        assert!(
            !error.contains("hidden") && error.contains("redis://"),
            "{error}"
        );
    }
}

#[test]
fn a_server_that_failed_is_asked_again_after_its_rest() {
    let (start, rest) = (Instant::now(), Duration::from_secs(5));
    let mut breaker = Breaker::new(rest);
    assert!(breaker.is_closed(start));
    assert!(breaker.failed(start));
    assert!(!breaker.failed(start));
    assert!(!breaker.is_closed(start));
    // An answer that was under way when it failed changes nothing.
    breaker.answered(start);
    assert!(!breaker.is_closed(start + rest / 2));
    assert!(breaker.is_closed(start + rest));
    breaker.answered(start + rest);
    assert!(breaker.is_closed(start));
    assert!(breaker.failed(start + rest));
}
