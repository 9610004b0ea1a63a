/* A multilayer perceptron in C with OpenMP: 20 -> 16 -> 5, tanh, softmax, cross-entropy, momentum.
 *
 * Weights are [in][out]; every layer and its buffers live on the heap, behind pointers.
 *
 *   gcc -O2 -g -fopenmp -o mlp mlp.c -lm
 */

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BATCH = 32, INPUTS = 20, HIDDEN = 16, CLASSES = 5, STEPS = 400 };

struct layer {
    int in, out;
    double *W, *b;    /* [in][out], [out] */
    double *z, *a;    /* [BATCH][out] */
    double *dW, *db;
    double *dz;       /* [BATCH][out] */
    double *vW, *vb;  /* velocities */
};

struct network {
    struct layer hidden, output;
};

struct network net;
double batch_x[BATCH][INPUTS];
int batch_y[BATCH];
double loss;
double rate = 0.1, momentum = 0.9;

static unsigned long long state = 42;

static double uniform(void)
{
    state = state * 6364136223846793005ULL + 1442695040888963407ULL;
    return (double)(state >> 11) * 0x1p-53;
}

static double *array(int count)
{
    double *made = calloc((size_t)count, sizeof *made);
    if (!made) {
        perror("mlp");
        exit(1);
    }
    return made;
}

static void make_layer(struct layer *layer, int in, int out)
{
    double limit = sqrt(6.0 / (in + out));

    layer->in = in;
    layer->out = out;
    layer->W = array(in * out);
    layer->b = array(out);
    layer->z = array(BATCH * out);
    layer->a = array(BATCH * out);
    layer->dz = array(BATCH * out);
    layer->dW = array(in * out);
    layer->db = array(out);
    layer->vW = array(in * out);
    layer->vb = array(out);
    for (int i = 0; i < in * out; i++)
        layer->W[i] = (2 * uniform() - 1) * limit;
}

/* Draws points around one centre per class. */
void draw_batch(void)
{
    for (int n = 0; n < BATCH; n++) {
        batch_y[n] = (int)(uniform() * CLASSES);
        for (int i = 0; i < INPUTS; i++)
            batch_x[n][i] = cos(1.3 * i * (batch_y[n] + 1)) + uniform() - 0.5;
    }
}

/* z = x W + b */
__attribute__((noinline)) void forward(struct layer *layer, const double *x)
{
#pragma omp parallel for
    for (int n = 0; n < BATCH; n++) {
        double *z = layer->z + n * layer->out;
        memcpy(z, layer->b, (size_t)layer->out * sizeof *z);
        for (int i = 0; i < layer->in; i++)
            for (int o = 0; o < layer->out; o++)
                z[o] += x[n * layer->in + i] * layer->W[i * layer->out + o];
    }
}

__attribute__((noinline)) void activate(struct layer *layer)
{
    for (int i = 0; i < BATCH * layer->out; i++)
        layer->a[i] = tanh(layer->z[i]);
}

__attribute__((noinline)) void softmax(struct layer *layer)
{
    for (int n = 0; n < BATCH; n++) {
        const double *z = layer->z + n * layer->out;
        double *p = layer->a + n * layer->out, largest = z[0], sum = 0;
        for (int o = 1; o < layer->out; o++)
            if (z[o] > largest)
                largest = z[o];
        for (int o = 0; o < layer->out; o++)
            sum += p[o] = exp(z[o] - largest);
        for (int o = 0; o < layer->out; o++)
            p[o] /= sum;
    }
}

__attribute__((noinline)) void cross_entropy(struct layer *layer)
{
    double sum = 0;
    for (int n = 0; n < BATCH; n++)
        sum -= log(layer->a[n * layer->out + batch_y[n]]);
    loss = sum / BATCH;
}

/* dz = (p - onehot(y)) / BATCH */
__attribute__((noinline)) void output_gradient(struct layer *layer)
{
    for (int n = 0; n < BATCH; n++)
        for (int o = 0; o < layer->out; o++) {
            double p = layer->a[n * layer->out + o];
            layer->dz[n * layer->out + o] = (p - (o == batch_y[n])) / BATCH;
        }
}

/* dW = x^T dz, db = sum of dz */
__attribute__((noinline)) void weight_gradient(struct layer *layer, const double *x)
{
#pragma omp parallel for
    for (int i = 0; i < layer->in; i++)
        for (int o = 0; o < layer->out; o++) {
            double sum = 0;
            for (int n = 0; n < BATCH; n++)
                sum += x[n * layer->in + i] * layer->dz[n * layer->out + o];
            layer->dW[i * layer->out + o] = sum;
        }
    for (int o = 0; o < layer->out; o++) {
        double sum = 0;
        for (int n = 0; n < BATCH; n++)
            sum += layer->dz[n * layer->out + o];
        layer->db[o] = sum;
    }
}

/* dz of the hidden layer: (dz W^T) * (1 - a^2) of the layer above */
__attribute__((noinline)) void hidden_gradient(struct layer *hidden, struct layer *above)
{
#pragma omp parallel for
    for (int n = 0; n < BATCH; n++)
        for (int h = 0; h < hidden->out; h++) {
            double sum = 0, a = hidden->a[n * hidden->out + h];
            for (int o = 0; o < above->out; o++)
                sum += above->dz[n * above->out + o] * above->W[h * above->out + o];
            hidden->dz[n * hidden->out + h] = sum * (1 - a * a);
        }
}

/* v = momentum v + g; w -= rate v */
__attribute__((noinline)) void update(double *w, double *v, const double *g, int count)
{
    for (int i = 0; i < count; i++) {
        v[i] = momentum * v[i] + g[i];
        w[i] -= rate * v[i];
    }
}

__attribute__((noinline)) void train_step(void)
{
    forward(&net.hidden, &batch_x[0][0]);
    activate(&net.hidden);
    forward(&net.output, net.hidden.a);
    softmax(&net.output);
    cross_entropy(&net.output);

    output_gradient(&net.output);
    weight_gradient(&net.output, net.hidden.a);
    hidden_gradient(&net.hidden, &net.output);
    weight_gradient(&net.hidden, &batch_x[0][0]);

    update(net.output.W, net.output.vW, net.output.dW, HIDDEN * CLASSES);
    update(net.output.b, net.output.vb, net.output.db, CLASSES);
    update(net.hidden.W, net.hidden.vW, net.hidden.dW, INPUTS * HIDDEN);
    update(net.hidden.b, net.hidden.vb, net.hidden.db, HIDDEN);
}

int main(void)
{
    make_layer(&net.hidden, INPUTS, HIDDEN);
    make_layer(&net.output, HIDDEN, CLASSES);
    for (int step = 0; step < STEPS; step++) {
        draw_batch();
        train_step();
        if (step % 100 == 0 || step == STEPS - 1)
            printf("step %d: loss %.4f\n", step, loss);
    }
    return 0;
}
