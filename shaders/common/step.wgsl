// What changes from step to step; the host writes it before the submission.
struct Step {
    rows: u32, // valid rows of the batch; the rest is padding
    learning_rate: f32,
    correction1: f32, // 1 - beta1^t
    correction2: f32, // 1 - beta2^t
    share: f32, // weight of this batch in a running mean of gradients; 1 starts a new mean
    noise: u32, // random bits of this step, for dropout
    average_decay: f32, // share of the running averages of weights that stays; 0 starts new ones
    follows: u32, // 1 where the rows go on from those of the batch before
}
