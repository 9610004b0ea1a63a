"""The block of block.c in NumPy: each name is that of the buffer which it says."""

import math

import numpy as np


def normalise(x):
    centred = x - x.mean(axis=1, keepdims=True)
    return centred / np.sqrt((centred**2).mean(axis=1, keepdims=True) + 1e-5)


def softmax(scores):
    shares = np.exp(scores - scores.max(axis=1, keepdims=True))
    return shares / shares.sum(axis=1, keepdims=True)


def gelu(z):
    return z / 2 * (1 + np.vectorize(math.erf)(z / math.sqrt(2)))


def block(x, Wq, Wk, Wv, Wo, W1, b1, W2, b2):
    normed = normalise(x)
    q, k, v = normed @ Wq, normed @ Wk, normed @ Wv
    later = np.triu(np.ones((len(x), len(x)), bool), 1)
    attention = softmax(np.where(later, -np.inf, q @ k.T / math.sqrt(x.shape[1])))
    context = attention @ v
    middle = x + context @ Wo
    normed_again = normalise(middle)
    inner = gelu(normed_again @ W1 + b1)
    out = middle + inner @ W2 + b2
    return {
        "normed": normed,
        "q": q,
        "k": k,
        "v": v,
        "attention": attention,
        "context": context,
        "middle": middle,
        "normed_again": normed_again,
        "inner": inner,
        "out": out,
    }
