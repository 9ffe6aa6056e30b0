//! Kafka: one node that is broker and controller (KRaft).

use std::fs;
use std::path::Path;
use std::process::Command;

use rustix::process::Signal;

use super::settings::{KafkaDetour, Settings, cache};
use super::unit::{Name, Ready, Unit};
use crate::machine::fetch;
use crate::machine::process::Launch;

/// Any; it only has to stay the same.
const CLUSTER_ID: &str = "a2Fzc2Eta2Fzc2Eta2FzcA";

const LOGGING: &str = r#"<Configuration><Appenders><Console name="out"><PatternLayout pattern="%d %p %m (%c{1})%n"/></Console></Appenders>
<Loggers><Root level="WARN"><AppenderRef ref="out"/></Root></Loggers></Configuration>"#;

/// Formats the storage if there is none; the unit that runs the broker.
pub(super) fn unit(settings: &Settings, java: &Path, say: &dyn Fn(&str)) -> anyhow::Result<Unit> {
    let jars = fetch::kafka(&cache(), say)?;
    let folder = settings.folder.join("kafka");
    fs::create_dir_all(&folder)?;
    let (config, logging) = (folder.join("server.properties"), folder.join("log4j2.xml"));
    fs::write(&config, properties(settings, &folder.join("log")))?;
    fs::write(&logging, LOGGING)?;
    let classes = format!("{}/*", jars.display());
    if !folder.join("log/meta.properties").exists() {
        fetch::run(
            Command::new(java)
                .args(["-cp", &classes])
                .arg(format!("-Dlog4j2.configurationFile={}", logging.display()))
                .args([
                    "kafka.tools.StorageTool",
                    "format",
                    "--standalone",
                    "-t",
                    CLUSTER_ID,
                    "-c",
                ])
                .arg(&config),
        )?;
    }
    let mut args = vec!["-Xmx512m".to_owned(), "-XX:+UseSerialGC".to_owned()];
    if settings.quick_jvm {
        args.push("-XX:TieredStopAtLevel=1".to_owned());
    }
    args.extend([
        "-cp".to_owned(),
        classes,
        format!("-Dlog4j2.configurationFile={}", logging.display()),
    ]);
    args.extend(["kafka.Kafka".to_owned(), config.display().to_string()]);
    Ok(Unit {
        name: Name::Kafka,
        replica: 0,
        port: settings.ports.kafka,
        launch: Launch {
            program: java.to_owned(),
            args,
            env: Vec::new(),
            folder,
        },
        ready: Ready::Listens(settings.ports.kafka),
        log: settings.logs().join("kafka.log"),
        pids: settings.pids(),
        stop_signal: Signal::TERM,
        process: None,
        is_wanted: false,
    })
}

fn properties(settings: &Settings, log: &Path) -> String {
    let (port, controller) = (settings.ports.kafka, settings.ports.kafka_controller);
    let detour = |port: fn(KafkaDetour) -> u16| {
        let detour = settings.kafka_detour.map(port);
        detour.map_or_else(String::new, |port| format!(",DETOUR://127.0.0.1:{port}"))
    };
    let (listen, advertised) = (detour(|detour| detour.listen), detour(|detour| detour.advertised));
    format!(
        "process.roles=broker,controller\nnode.id=1\n\
         controller.quorum.bootstrap.servers=127.0.0.1:{controller}\n\
         listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{listen}\n\
         advertised.listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}{advertised}\n\
         controller.listener.names=CONTROLLER\ninter.broker.listener.name=PLAINTEXT\n\
         listener.security.protocol.map=CONTROLLER:PLAINTEXT,PLAINTEXT:PLAINTEXT,DETOUR:PLAINTEXT\n\
         log.dirs={}\noffsets.topic.replication.factor=1\noffsets.topic.num.partitions=4\n\
         transaction.state.log.replication.factor=1\ntransaction.state.log.min.isr=1\n\
         share.coordinator.state.topic.replication.factor=1\nshare.coordinator.state.topic.min.isr=1\n\
         group.initial.rebalance.delay.ms=0\nauto.create.topics.enable=false\n",
        log.display()
    )
}
