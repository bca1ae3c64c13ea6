//! Logistic regression by Newton's method, drawn towards weights known before.
//!
//! Our own page and not a crate: linfa-logistic brings 57 crates and draws
//! towards zero, whereas a gym with little history should stay near the
//! default. Promises weights with which the score does not fall while a
//! member is absent: a weight that would have the wrong sign is held at zero.

use super::super::model::Weights;
use super::history::Row;

/// How strongly a weight is drawn, per variance of its signal: about as much
/// as ten rows would.
const RIDGE: f64 = 2.0;
/// The variance a signal has at the least, so that one that was never seen
/// keeps its weight.
const LEAST_VARIANCE: f64 = 0.01;
/// Newton's steps at the most, and when one is small enough.
const STEPS: usize = 50;
const CLOSE: f64 = 1e-9;

/// The intercept and the six weights.
const N: usize = 7;
type Vector = [f64; N];
type Matrix = [Vector; N];

/// The weights that explain `rows` best, drawn towards `known`; `None` when
/// the search does not settle.
pub(super) fn fit(rows: &[Row], known: &Weights) -> Option<Weights> {
    let mut problem = Problem {
        rows,
        centre: vector(known),
        ridge: ridge(rows),
        held: [false; N],
    };
    loop {
        let found = problem.solve()?;
        // Absence must not lower the score, nor recent visits raise it.
        let is_wrong = [(2, found[2] < 0.0), (3, found[3] > 0.0)];
        match is_wrong.into_iter().find(|(_, wrong)| *wrong) {
            Some((place, _)) => problem.held[place] = true,
            None => return Some(weights(&found)),
        }
    }
}

struct Problem<'r> {
    rows: &'r [Row],
    /// Where the weights are drawn to, and how strongly.
    centre: Vector,
    ridge: Vector,
    /// The weights that are held at zero.
    held: [bool; N],
}

impl Problem<'_> {
    fn solve(&self) -> Option<Vector> {
        let mut at = self.centre;
        for (weight, _) in at.iter_mut().zip(self.held).filter(|(_, held)| *held) {
            *weight = 0.0;
        }
        let mut loss = self.loss(&at);
        for _ in 0..STEPS {
            let (slope, curve) = self.slope_and_curve(&at);
            let (next, next_loss) = self.step(&at, loss, eliminate(curve, slope)?);
            let is_done = loss - next_loss <= CLOSE * (1.0 + loss);
            (at, loss) = (next, next_loss);
            if is_done {
                return at.iter().all(|weight| weight.is_finite()).then_some(at);
            }
        }
        None
    }

    /// A step that does not help is halved: far out, Newton's overshoot.
    fn step(&self, at: &Vector, loss: f64, step: Vector) -> (Vector, f64) {
        let mut share = 1.0;
        loop {
            let mut next = *at;
            for (weight, step) in next.iter_mut().zip(step) {
                *weight -= share * step;
            }
            let next_loss = self.loss(&next);
            if next_loss <= loss {
                return (next, next_loss);
            }
            share /= 2.0;
            if share < CLOSE {
                return (*at, loss);
            }
        }
    }

    /// The negative log-likelihood, and what being far from the centre costs.
    fn loss(&self, at: &Vector) -> f64 {
        let of_row = |row: &Row| {
            let odds = dot(at, &signals(row));
            let signed = if row.absent { odds } else { -odds };
            (-signed.abs()).exp().ln_1p() + (-signed).max(0.0)
        };
        let far = at.iter().zip(self.centre).zip(self.ridge);
        let far: f64 = far
            .map(|((at, centre), ridge)| ridge * (at - centre).powi(2))
            .sum();
        self.rows.iter().map(of_row).sum::<f64>() + far / 2.0
    }

    fn slope_and_curve(&self, at: &Vector) -> (Vector, Matrix) {
        let (mut slope, mut curve) = (Vector::default(), Matrix::default());
        for row in self.rows {
            let x = signals(row);
            let p = super::probability(dot(at, &x));
            let wrong = p - f64::from(u8::from(row.absent));
            for i in 0..N {
                slope[i] += wrong * x[i];
                for j in 0..N {
                    curve[i][j] += p * (1.0 - p) * x[i] * x[j];
                }
            }
        }
        for i in 0..N {
            slope[i] += self.ridge[i] * (at[i] - self.centre[i]);
            curve[i][i] += self.ridge[i];
        }
        for i in (0..N).filter(|i| self.held[*i]) {
            slope[i] = 0.0;
            curve[i] = Vector::default();
            for line in &mut curve {
                line[i] = 0.0;
            }
            curve[i][i] = 1.0;
        }
        (slope, curve)
    }
}

/// Solves `matrix * x = right` by elimination; the matrix is symmetric and
/// positive, so that no rows need to be swapped.
fn eliminate(mut matrix: Matrix, mut right: Vector) -> Option<Vector> {
    for i in 0..N {
        if !matrix[i][i].is_normal() {
            return None;
        }
        let pivot = matrix[i];
        for below in i + 1..N {
            let factor = matrix[below][i] / pivot[i];
            for (cell, above) in matrix[below].iter_mut().zip(pivot) {
                *cell -= factor * above;
            }
            right[below] -= factor * right[i];
        }
    }
    for i in (0..N).rev() {
        let known: f64 = (i + 1..N).map(|j| matrix[i][j] * right[j]).sum();
        right[i] = (right[i] - known) / matrix[i][i];
    }
    Some(right)
}

/// The intercept is free, or the mean score could not follow the gym.
fn ridge(rows: &[Row]) -> Vector {
    let all = super::count(rows.len());
    let strength = |i: usize| {
        let mean = rows.iter().map(|row| signals(row)[i]).sum::<f64>() / all;
        let squares = rows.iter().map(|row| (signals(row)[i] - mean).powi(2));
        RIDGE * (squares.sum::<f64>() / all).max(LEAST_VARIANCE)
    };
    std::array::from_fn(|i| if i == 0 { 1e-6 } else { strength(i) })
}

fn signals(row: &Row) -> Vector {
    let mut x = [1.0; N];
    x[1..].copy_from_slice(&row.signals);
    x
}

fn dot(a: &Vector, b: &Vector) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

fn vector(weights: &Weights) -> Vector {
    let mut vector = [weights.intercept; N];
    vector[1..].copy_from_slice(&weights.of_signals);
    vector
}

fn weights(vector: &Vector) -> Weights {
    let [intercept, of_signals @ ..] = *vector;
    Weights {
        intercept,
        of_signals,
    }
}
