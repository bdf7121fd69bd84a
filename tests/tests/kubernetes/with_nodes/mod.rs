mod cluster_lifetime;
mod failures;
mod grapes_in_pods;
mod operator;
mod pods;
mod traces;
