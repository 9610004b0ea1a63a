/* One block of a transformer in C: eight tokens, one head, causal, forward only.
 *
 * Attention first, then a layer with GELU; before each a normalisation, around each a shortcut.
 * model.py says the same in NumPy.
 *
 *   gcc -O2 -g -o block block.c -lm
 */

#include <math.h>
#include <stdio.h>

enum { TOKENS = 8, WIDTH = 16, INNER = 32, SEQUENCES = 10 };

/* Weights are [in][out]. */
float Wq[WIDTH][WIDTH], Wk[WIDTH][WIDTH], Wv[WIDTH][WIDTH], Wo[WIDTH][WIDTH];
float W1[WIDTH][INNER], b1[INNER], W2[INNER][WIDTH], b2[WIDTH];

float x[TOKENS][WIDTH];                    /* a sequence */
float normed[TOKENS][WIDTH];
float q[TOKENS][WIDTH], k[TOKENS][WIDTH], v[TOKENS][WIDTH];
float attention[TOKENS][TOKENS];           /* how much token t looks at token s */
float context[TOKENS][WIDTH];
float middle[TOKENS][WIDTH];               /* between the two halves */
float normed_again[TOKENS][WIDTH];
float inner[TOKENS][INNER];
float out[TOKENS][WIDTH];

static unsigned long long state = 42;

/* Fills numbers in -scale..scale, by Knuth's MMIX linear congruential generator. */
static void draw(float *to, int count, float scale)
{
    for (int i = 0; i < count; i++) {
        state = state * 6364136223846793005ULL + 1442695040888963407ULL;
        to[i] = ((float)(state >> 40) * 0x1p-23f - 1) * scale;
    }
}

/* Each token less its mean, over its standard deviation. */
static void normalise(float from[TOKENS][WIDTH], float to[TOKENS][WIDTH])
{
    for (int t = 0; t < TOKENS; t++) {
        float mean = 0, variance = 0;
        for (int i = 0; i < WIDTH; i++)
            mean += from[t][i] / WIDTH;
        for (int i = 0; i < WIDTH; i++)
            variance += (from[t][i] - mean) * (from[t][i] - mean) / WIDTH;
        for (int i = 0; i < WIDTH; i++)
            to[t][i] = (from[t][i] - mean) / sqrtf(variance + 1e-5f);
    }
}

/* to = from W, for all tokens. */
static void project(float from[TOKENS][WIDTH], float W[WIDTH][WIDTH], float to[TOKENS][WIDTH])
{
    for (int t = 0; t < TOKENS; t++)
        for (int o = 0; o < WIDTH; o++) {
            float sum = 0;
            for (int i = 0; i < WIDTH; i++)
                sum += from[t][i] * W[i][o];
            to[t][o] = sum;
        }
}

/* The softmax of q k^T / sqrt(WIDTH) along each row; a token sees itself and what came before. */
static void attend(void)
{
    for (int t = 0; t < TOKENS; t++) {
        float largest = -INFINITY, sum = 0;
        for (int s = 0; s <= t; s++) {
            float score = 0;
            for (int i = 0; i < WIDTH; i++)
                score += q[t][i] * k[s][i];
            attention[t][s] = score / sqrtf(WIDTH);
            largest = fmaxf(largest, attention[t][s]);
        }
        for (int s = 0; s <= t; s++)
            sum += attention[t][s] = expf(attention[t][s] - largest);
        for (int s = 0; s < TOKENS; s++)
            attention[t][s] = s <= t ? attention[t][s] / sum : 0;
    }
}

/* middle = x + (attention v) Wo */
static void gather(void)
{
    for (int t = 0; t < TOKENS; t++)
        for (int i = 0; i < WIDTH; i++) {
            float sum = 0;
            for (int s = 0; s <= t; s++)
                sum += attention[t][s] * v[s][i];
            context[t][i] = sum;
        }
    project(context, Wo, middle);
    for (int t = 0; t < TOKENS; t++)
        for (int i = 0; i < WIDTH; i++)
            middle[t][i] += x[t][i];
}

static float gelu(float z)
{
    return z / 2 * (1 + erff(z * (float)M_SQRT1_2));
}

/* out = middle + gelu(normed_again W1 + b1) W2 + b2 */
static void feed_forward(void)
{
    for (int t = 0; t < TOKENS; t++) {
        for (int h = 0; h < INNER; h++) {
            float sum = b1[h];
            for (int i = 0; i < WIDTH; i++)
                sum += normed_again[t][i] * W1[i][h];
            inner[t][h] = gelu(sum);
        }
        for (int o = 0; o < WIDTH; o++) {
            float sum = b2[o];
            for (int h = 0; h < INNER; h++)
                sum += inner[t][h] * W2[h][o];
            out[t][o] = middle[t][o] + sum;
        }
    }
}

__attribute__((noinline)) void block(void)
{
    normalise(x, normed);
    project(normed, Wq, q);
    project(normed, Wk, k);
    project(normed, Wv, v);
    attend();
    gather();
    normalise(middle, normed_again);
    feed_forward();
}

int main(void)
{
    draw(&Wq[0][0], WIDTH * WIDTH, 0.5f);
    draw(&Wk[0][0], WIDTH * WIDTH, 0.5f);
    draw(&Wv[0][0], WIDTH * WIDTH, 0.5f);
    draw(&Wo[0][0], WIDTH * WIDTH, 0.5f);
    draw(&W1[0][0], WIDTH * INNER, 0.5f);
    draw(b1, INNER, 0.5f);
    draw(&W2[0][0], INNER * WIDTH, 0.5f);
    draw(b2, WIDTH, 0.5f);
    for (int sequence = 0; sequence < SEQUENCES; sequence++) {
        draw(&x[0][0], TOKENS * WIDTH, 1);
        block();
    }
    printf("the last token comes to %.4f %.4f ...\n", out[TOKENS - 1][0], out[TOKENS - 1][1]);
    return 0;
}
