mod cluster_lifetime;
mod cut_off;
mod failures;
mod grapes_in_pods;
mod injection;
mod operator;
mod pods;
mod traces;
