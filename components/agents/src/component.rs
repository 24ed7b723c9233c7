//! The component's door: bindings in, bindings out.

mod bindings {
    wit_bindgen::generate!({ path: "../../wit/agents", world: "agents" });
}

use bindings::exports::kgents::agents::conversing as wit;

struct Component;

impl wit::Guest for Component {
    fn plan(message: wit::Message) -> Result<wit::Operation, wit::Unclear> {
        crate::plan(&message.into())
            .map(Into::into)
            .map_err(Into::into)
    }

    fn phrase(outcome: wit::Outcome) -> wit::Reply {
        crate::phrase(&outcome.into()).into()
    }
}

impl From<wit::Message> for crate::Message {
    fn from(message: wit::Message) -> Self {
        Self {
            agent: message.agent,
            text: message.text,
            data: message.data,
        }
    }
}

impl From<crate::Operation> for wit::Operation {
    fn from(operation: crate::Operation) -> Self {
        use crate::Operation;
        match operation {
            Operation::Balance(account) => Self::Balance(account),
            Operation::Allocate(amount) => Self::Allocate(amount.into()),
            Operation::Settle(amount) => Self::Settle(amount.into()),
            Operation::TopConsumers(limit) => Self::TopConsumers(limit),
            Operation::Find(query) => Self::Find(query),
            Operation::ListAgents => Self::ListAgents,
            Operation::Describe(agent) => Self::Describe(agent),
            Operation::Echo(text) => Self::Echo(text),
        }
    }
}

impl From<crate::Amount> for wit::Amount {
    fn from(amount: crate::Amount) -> Self {
        Self {
            account: amount.account,
            tokens: amount.tokens,
        }
    }
}

impl From<crate::Unclear> for wit::Unclear {
    fn from(unclear: crate::Unclear) -> Self {
        Self {
            message: unclear.message,
            examples: unclear.examples,
        }
    }
}

impl From<wit::Outcome> for crate::Outcome {
    fn from(outcome: wit::Outcome) -> Self {
        use wit::Outcome;
        let listings = |found: Vec<wit::Listing>| found.into_iter().map(Into::into).collect();
        match outcome {
            Outcome::Balance(account) => Self::Balance(account.into()),
            Outcome::Allocated((account, moved)) => Self::Allocated(account.into(), moved),
            Outcome::Settled((account, charged)) => Self::Settled(account.into(), charged),
            Outcome::TopConsumers(consumers) => {
                Self::TopConsumers(consumers.into_iter().map(Into::into).collect())
            }
            Outcome::Found(found) => Self::Found(listings(found)),
            Outcome::Agents(found) => Self::Agents(listings(found)),
            Outcome::Described(listing) => Self::Described(listing.into()),
            Outcome::Echoed(text) => Self::Echoed(text),
            Outcome::NoAccount(account) => Self::NoAccount(account),
            Outcome::Insufficient((account, asked, available)) => Self::Insufficient {
                account,
                asked,
                available,
            },
            Outcome::NoAgent(agent) => Self::NoAgent(agent),
        }
    }
}

impl From<wit::Account> for crate::Account {
    fn from(account: wit::Account) -> Self {
        Self {
            name: account.name,
            allocated: account.allocated,
            spent: account.spent,
            reserved: account.reserved,
            free: account.free,
            window: account.window,
        }
    }
}

impl From<wit::Consumer> for crate::Consumer {
    fn from(consumer: wit::Consumer) -> Self {
        Self {
            name: consumer.name,
            tokens: consumer.tokens,
        }
    }
}

impl From<wit::Listing> for crate::Listing {
    fn from(listing: wit::Listing) -> Self {
        Self {
            name: listing.name,
            description: listing.description,
            skills: listing.skills,
            health: listing.health,
            confidence: listing.confidence,
        }
    }
}

impl From<crate::Reply> for wit::Reply {
    fn from(reply: crate::Reply) -> Self {
        Self {
            text: reply.text,
            data: reply.data,
        }
    }
}

bindings::export!(Component with_types_in bindings);
