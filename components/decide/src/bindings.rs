//! Generated from `wit/`: the deciders' records, and the imports that Spin's
//! composer fills with them. Natively only the records are of use.
#![allow(
    missing_docs,
    reason = "generated from the WIT, which documents every item"
)]

/// Once for both targets; only natively can schemas be made of the records.
macro_rules! bindings {
    ($($derive:tt)*) => {
        wit_bindgen::generate!({
            inline: "
                package kgents:decide;

                world deciders {
                    import kgents:router/routing@0.1.0;
                    import kgents:policy/authorization@0.1.0;
                    import kgents:pheromone/sensing@0.1.0;
                    import kgents:health/judging@0.1.0;
                }
            ",
            path: [
                "../../wit/router",
                "../../wit/policy",
                "../../wit/pheromone",
                "../../wit/health",
            ],
            generate_all,
            additional_derives: [$($derive)*],
        });
    };
}

#[cfg(target_family = "wasm")]
bindings!(PartialEq, serde::Serialize, serde::Deserialize);

#[cfg(not(target_family = "wasm"))]
bindings!(
    PartialEq,
    serde::Serialize,
    serde::Deserialize,
    schemars::JsonSchema
);
