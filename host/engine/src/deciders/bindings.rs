//! Generated from `wit/`: records and raw calls of the five worlds. The doors
//! beside this file re-export the records; nothing else uses the raw calls. The
//! records of those that can be asked elsewhere can be written as JSON.
#![allow(
    missing_docs,
    reason = "the records' fields are documented where they are defined, in wit/"
)]

pub(crate) mod router {
    wasmtime::component::bindgen!({
        path: "../../wit/router",
        world: "router",
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}

pub(crate) mod policy {
    wasmtime::component::bindgen!({
        path: "../../wit/policy",
        world: "policy",
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}

pub(crate) mod pheromone {
    wasmtime::component::bindgen!({
        path: "../../wit/pheromone",
        world: "pheromone",
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}

pub(crate) mod health {
    wasmtime::component::bindgen!({
        path: "../../wit/health",
        world: "health",
        additional_derives: [PartialEq, serde::Serialize, serde::Deserialize],
    });
}

pub(crate) mod agents {
    wasmtime::component::bindgen!({
        path: "../../wit/agents",
        world: "agents",
        additional_derives: [PartialEq],
    });
}
