//! New versions, good and bad, and a task that is killed, while visitors come.

use std::io::{Read, Write};
use std::net::TcpStream;
use std::thread;
use std::time::{Duration, Instant};

use serde_json::Value;

use crate::support::{
    ARCHS, count, deployed, derive, docker, is_stable, note, service, start_load, tag, update_service,
    update_stack, variable, versions, wait_for, wait_until_stable,
};

/// Sends a request whose body takes `long` to arrive, and returns the status line of the answer.
fn slow_request(arch: &str, long: Duration) -> Result<String, String> {
    const PIECES: u32 = 16;
    let address = variable("BIFORA_CLOUD_ADDRESS");
    let host = address.trim_start_matches("http://");
    let port = host.split_once(':').map_or("80", |(_, port)| port);
    let attempt = || -> std::io::Result<String> {
        let mut stream = TcpStream::connect(format!("127.0.0.1:{port}"))?;
        stream.set_read_timeout(Some(Duration::from_secs(30)))?;
        write!(
            stream,
            "POST / HTTP/1.1\r\nhost: {host}\r\nx-bifora-arch: {arch}\r\nconnection: close\r\n\
             content-type: application/x-www-form-urlencoded\r\ncontent-length: {PIECES}\r\n\r\n"
        )?;
        for _ in 0..PIECES {
            stream.write_all(b"a")?;
            stream.flush()?;
            thread::sleep(long / PIECES);
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        Ok(answer)
    };
    let answer = attempt().map_err(|error| error.to_string())?;
    let line = answer.lines().next().unwrap_or_default();
    if line.starts_with("HTTP/1.1 200") && answer.trim_end().ends_with("</html>") {
        Ok(line.to_owned())
    } else {
        Err(format!("{line} ({} bytes)", answer.len()))
    }
}

#[test]
fn a_new_version_loses_no_request_not_even_a_long_one() {
    let before = tag(&deployed()).to_owned();
    let image = derive("new", &[]);
    let load = start_load(&["--requests", "24000", "--seconds", "180", "--rate", "400"]);
    thread::scope(|scope| {
        // One long request of each architecture begins every second, before, during and after the rollout.
        let begin = Instant::now();
        let long: Vec<_> = (0..36)
            .flat_map(|second| ARCHS.map(|(arch, _, _)| (second, arch)))
            .map(|(second, arch)| {
                scope.spawn(move || {
                    let due = begin + Duration::from_secs(second);
                    thread::sleep(due.saturating_duration_since(Instant::now()));
                    (second, arch, slow_request(arch, Duration::from_secs(8)))
                })
            })
            .collect();
        thread::sleep(Duration::from_secs(2));
        update_stack(&[("ImageUri", &image)]);
        wait_until_stable();
        note(("rolled out after", begin.elapsed()));
        let failed: Vec<_> = long
            .into_iter()
            .map(|request| request.join().expect("no panic"))
            .filter(|(_, _, result)| result.is_err())
            .collect();
        assert!(failed.is_empty(), "long requests failed: {failed:?}");
    });
    let summary = load.finish();
    note(&summary);
    assert_eq!(summary["failed"], 0, "{summary}");
    assert!(
        summary["requests"]
            .as_u64()
            .is_some_and(|requests| requests >= 20_000),
        "{summary}"
    );
    assert_eq!(deployed(), image);
    let mut both = vec![before, tag(&image).to_owned()];
    both.sort();
    assert_eq!(versions(&summary), both, "both versions answered, and no other");
    for (arch, _, _) in ARCHS {
        assert!(
            count(&summary, arch) > 1_000,
            "both architectures took part: {summary}"
        );
    }
}

#[test]
fn a_killed_task_costs_only_what_it_had_in_flight_and_is_replaced() {
    const IN_FLIGHT: u64 = 8;
    for (_, _, name) in ARCHS {
        let family = format!("label=com.amazonaws.ecs.task-definition-family={name}");
        let tasks = || docker(&["ps", "--quiet", "--no-trunc", "--filter", &family]);
        let before = tasks();
        assert_eq!(before.lines().count(), 2, "two tasks of {name}");
        let victim = before.lines().next().expect("there is one");
        let load = start_load(&[
            "--requests",
            "6000",
            "--seconds",
            "60",
            "--rate",
            "300",
            "--concurrency",
            "8",
        ]);
        thread::sleep(Duration::from_secs(3));
        docker(&["kill", "--signal=KILL", victim]);
        let replaced = wait_for("the task is replaced", Duration::from_mins(1), || {
            let now = tasks();
            (now.lines().count() == 2 && !now.contains(victim)).then_some(now)
        });
        assert!(replaced.lines().any(|task| !before.contains(task)), "{replaced}");
        let summary = load.finish();
        note((
            name,
            "failed with the task",
            &summary["failed"],
            "of",
            &summary["requests"],
        ));
        assert!(
            summary["failed"]
                .as_u64()
                .is_some_and(|failed| failed <= IN_FLIGHT),
            "at most what was in flight: {summary}"
        );
    }
    wait_until_stable();
}

/// Deploys a version that cannot serve, and expects both services to be back at what they ran before, which served
/// all the while.
fn is_rolled_back(name: &str, variables: &[(&str, &str)]) -> Value {
    let good = deployed();
    let bad = derive(name, variables);
    // The derived image stands on the deployed one, which stays deployed.
    let before = ARCHS.map(|(_, _, name)| service(name)["taskDefinition"].clone());
    let load = start_load(&["--requests", "60000", "--seconds", "60", "--rate", "100"]);
    for (_, _, name) in ARCHS {
        update_service(name, &bad);
    }
    for ((_, _, name), before) in ARCHS.into_iter().zip(before) {
        wait_for(&format!("{name} is rolled back"), Duration::from_mins(4), || {
            let service = service(name);
            (service["taskDefinition"] == before && is_stable(&service)).then_some(())
        });
        let events = service(name)["events"].to_string();
        assert!(
            events.contains("roll") || events.contains("deployment failed"),
            "{events}"
        );
    }
    assert_eq!(deployed(), good);
    let summary = load.finish();
    note((name, &summary));
    assert_eq!(summary["failed"], 0, "{summary}");
    assert_eq!(versions(&summary), [tag(&good)], "{summary}");
    summary
}

#[test]
fn a_version_that_crashes_is_rolled_back() {
    is_rolled_back("crashes", &[("HOST", "nonsense")]);
}

#[test]
fn a_version_that_never_becomes_ready_is_rolled_back() {
    // It runs, and its own health check is content: only the load balancer cannot reach it.
    is_rolled_back("unready", &[("HOST", "127.0.0.1")]);
}
