"""A network that somebody else wrote: in C, its data in assembly, without sizes and probes.

5 -> 4 -> 3, sample by sample; weights are [out][in], the hidden activation is tanh, softmax works
in place, gradients add up until `update` has used and cleared them.
"""

from __future__ import annotations

ONLINE = r"""
#include <math.h>
#include <stdlib.h>
__asm__(".bss\n.balign 16\n.globl x,target,W1,b1,h1,W2,b2,h2,d1,d2,dW1,db1,dW2,db2\n"
        "x: .zero 20\nW1: .zero 80\nb1: .zero 16\nh1: .zero 16\nW2: .zero 48\nb2: .zero 12\n"
        "h2: .zero 12\nd1: .zero 16\nd2: .zero 12\ndW1: .zero 80\ndb1: .zero 16\n"
        "dW2: .zero 48\ndb2: .zero 12\ntarget: .zero 4\nend_of_data: .zero 4\n"
        ".data\n.globl rate\nrate: .float 0.05\n.text\n");
extern float x[], W1[], b1[], h1[], W2[], b2[], h2[], d1[], d2[], dW1[], db1[], dW2[], db2[], rate;
extern int target;
static unsigned state = 1;
static float uniform(void) {
    state = state * 1664525u + 1013904223u;
    return (float)(state >> 8) / 16777216.0f - 0.5f;
}
#define NOIPA __attribute__((noipa))
NOIPA void forward(const float *in, const float *w, const float *b, float *out, int n, int m) {
    for (int o = 0; o < m; o++) {
        float sum = b[o];
        for (int i = 0; i < n; i++) sum += w[o * n + i] * in[i];
        out[o] = sum;
    }
}
NOIPA void activate(float *v, int n) {
    for (int i = 0; i < n; i++) v[i] = tanhf(v[i]);
}
NOIPA void softmax(float *v, int n) {
    float sum = 0, most = v[0];
    for (int i = 1; i < n; i++) if (v[i] > most) most = v[i];
    for (int i = 0; i < n; i++) sum += v[i] = expf(v[i] - most);
    for (int i = 0; i < n; i++) v[i] /= sum;
}
NOIPA void output_error(void) {
    for (int i = 0; i < 3; i++) d2[i] = h2[i] - (i == target);
}
NOIPA void add_outer(const float *d, const float *in, float *dw, int m, int n) {
    for (int o = 0; o < m; o++)
        for (int i = 0; i < n; i++) dw[o * n + i] += d[o] * in[i];
}
NOIPA void add_bias(const float *d, float *sum, int n) {
    for (int i = 0; i < n; i++) sum[i] += d[i];
}
NOIPA void backward(const float *d, const float *w, const float *a, float *out, int m, int n) {
    for (int i = 0; i < n; i++) {
        float sum = 0;
        for (int o = 0; o < m; o++) sum += d[o] * w[o * n + i];
        out[i] = sum * (1 - a[i] * a[i]);
    }
}
NOIPA void descend(float *w, float *g, int n) {
    for (int i = 0; i < n; i++) {
        w[i] -= rate * g[i];
        g[i] = 0;
    }
}
NOIPA void train_sample(void) {
    forward(x, W1, b1, h1, 5, 4);
    activate(h1, 4);
    forward(h1, W2, b2, h2, 4, 3);
    softmax(h2, 3);
    output_error();
    add_outer(d2, h1, dW2, 3, 4);
    add_bias(d2, db2, 3);
    backward(d2, W2, h1, d1, 3, 4);
    add_outer(d1, x, dW1, 4, 5);
    add_bias(d1, db1, 4);
    __asm__ volatile("");
}
NOIPA void update(void) {
    descend(W1, dW1, 20);
    descend(b1, db1, 4);
    descend(W2, dW2, 12);
    descend(b2, db2, 3);
    __asm__ volatile("");
}
int main(int argc, char **argv) {
    int twice = argc > 1;
    for (int i = 0; i < 20; i++) W1[i] = uniform();
    for (int i = 0; i < 12; i++) W2[i] = uniform();
    for (int s = 0; s < 24; s++) {
        target = s % 3;
        for (int i = 0; i < 5; i++) x[i] = uniform() + (i == target);
        train_sample();
        if (s % 6 == 5) update();
    }
    (void)argv;
    return twice;
}
"""
FLAGS = ("-g", "-O1", "-fno-optimize-sibling-calls", "-Wl,--no-as-needed", "-lm")
