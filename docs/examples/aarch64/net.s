// A network in AArch64 assembly, without a C library: 4 -> 8 ReLU -> 2, squared error.
//
// It learns x0 x1 and x2 - x3 from batches of 16 random points. Weights are [in x out] float32.
// A label ends in _done where a buffer is complete: that is all that a debugger has to be told.
//
//   aarch64-linux-gnu-as -g -o net.o net.s && aarch64-linux-gnu-ld -o net net.o

        .equ    BATCH, 16
        .equ    INPUTS, 4
        .equ    HIDDEN, 8
        .equ    OUTPUTS, 2
        .equ    STEPS, 200

// buffer NAME, COUNT: a symbol with a size, that many floats.
        .macro  buffer name, count
        .global \name
        .type   \name, %object
        .size   \name, 4 * (\count)
\name:  .skip   4 * (\count)
        .endm

// array REGISTER, NAME: the address of a buffer.
        .macro  array register, name
        adrp    \register, \name
        add     \register, \register, :lo12:\name
        .endm

        .bss
        .balign 16
        buffer  x,   BATCH * INPUTS
        buffer  t,   BATCH * OUTPUTS            // what the network is to say
        buffer  W1,  INPUTS * HIDDEN
        buffer  b1,  HIDDEN
        buffer  z1,  BATCH * HIDDEN
        buffer  h1,  BATCH * HIDDEN
        buffer  W2,  HIDDEN * OUTPUTS
        buffer  b2,  OUTPUTS
        buffer  z2,  BATCH * OUTPUTS
        buffer  dz2, BATCH * OUTPUTS
        buffer  dW2, HIDDEN * OUTPUTS
        buffer  db2, OUTPUTS
        buffer  dz1, BATCH * HIDDEN
        buffer  dW1, INPUTS * HIDDEN
        buffer  db1, HIDDEN

        .data
        .balign 8
state:  .quad   42                              // of the random numbers
        .global rate
        .type   rate, %object
        .size   rate, 4
rate:   .float  0.01

        .text

        .global _start
_start:
        array   x0, W1
        mov     x1, #INPUTS * HIDDEN
        bl      draw
        array   x0, W2
        mov     x1, #HIDDEN * OUTPUTS
        bl      draw
        mov     x28, #STEPS
.Lstep: bl      draw_batch
        bl      train_step
        subs    x28, x28, #1
        b.ne    .Lstep
        mov     x0, #0
        mov     x8, #93                         // exit
        svc     #0

        .type   train_step, %function
train_step:
        str     x30, [sp, #-16]!

        array   x0, x
        array   x1, W1
        array   x2, b1
        array   x3, z1
        mov     x4, #INPUTS
        mov     x5, #HIDDEN
        bl      dense
z1_done:
        array   x0, z1
        array   x1, h1
        mov     x2, #BATCH * HIDDEN
        bl      relu
h1_done:
        array   x0, h1
        array   x1, W2
        array   x2, b2
        array   x3, z2
        mov     x4, #HIDDEN
        mov     x5, #OUTPUTS
        bl      dense
z2_done:
        array   x0, z2
        array   x1, t
        array   x2, dz2
        mov     x3, #BATCH * OUTPUTS
        bl      difference
dz2_done:
        array   x0, h1
        array   x1, dz2
        array   x2, dW2
        mov     x3, #HIDDEN
        mov     x4, #OUTPUTS
        bl      weight_gradient
dW2_done:
        array   x0, dz2
        array   x1, db2
        mov     x2, #OUTPUTS
        bl      bias_gradient
db2_done:
        array   x0, dz2
        array   x1, W2
        array   x2, z1
        array   x3, dz1
        mov     x4, #HIDDEN
        mov     x5, #OUTPUTS
        bl      input_gradient
dz1_done:
        array   x0, x
        array   x1, dz1
        array   x2, dW1
        mov     x3, #INPUTS
        mov     x4, #HIDDEN
        bl      weight_gradient
dW1_done:
        array   x0, dz1
        array   x1, db1
        mov     x2, #HIDDEN
        bl      bias_gradient
db1_done:
        array   x0, W1
        array   x1, dW1
        mov     x2, #INPUTS * HIDDEN
        bl      descend
W1_done:
        array   x0, b1
        array   x1, db1
        mov     x2, #HIDDEN
        bl      descend
b1_done:
        array   x0, W2
        array   x1, dW2
        mov     x2, #HIDDEN * OUTPUTS
        bl      descend
W2_done:
        array   x0, b2
        array   x1, db2
        mov     x2, #OUTPUTS
        bl      descend
b2_done:
        ldr     x30, [sp], #16
        ret

// z = x W + b
//   x0 = x [BATCH x in]   x1 = W [in x out]   x2 = b [out]   x3 = z [BATCH x out]
//   x4 = in > 0   x5 = out > 0
        .type   dense, %function
dense:
        mov     x6, #BATCH
.Ldense_row:
        mov     x7, #0
.Ldense_output:
        ldr     s0, [x2, x7, lsl #2]
        add     x8, x1, x7, lsl #2              // W[0, o], then down its column
        mov     x9, #0
.Ldense_input:
        ldr     s1, [x0, x9, lsl #2]
        ldr     s2, [x8]
        fmadd   s0, s1, s2, s0
        add     x8, x8, x5, lsl #2
        add     x9, x9, #1
        cmp     x9, x4
        b.lt    .Ldense_input
        str     s0, [x3, x7, lsl #2]
        add     x7, x7, #1
        cmp     x7, x5
        b.lt    .Ldense_output
        add     x0, x0, x4, lsl #2
        add     x3, x3, x5, lsl #2
        subs    x6, x6, #1
        b.ne    .Ldense_row
        ret

// h = max(z, 0)
//   x0 = z   x1 = h   x2 = how many > 0
        .type   relu, %function
relu:
        fmov    s1, wzr
.Lrelu_element:
        ldr     s0, [x0], #4
        fmax    s0, s0, s1
        str     s0, [x1], #4
        subs    x2, x2, #1
        b.ne    .Lrelu_element
        ret

// d = z - t
//   x0 = z   x1 = t   x2 = d   x3 = how many > 0
        .type   difference, %function
difference:
        ldr     s0, [x0], #4
        ldr     s1, [x1], #4
        fsub    s0, s0, s1
        str     s0, [x2], #4
        subs    x3, x3, #1
        b.ne    difference
        ret

// dW = x^T d
//   x0 = x [BATCH x in]   x1 = d [BATCH x out]   x2 = dW [in x out]   x3 = in > 0   x4 = out > 0
        .type   weight_gradient, %function
weight_gradient:
        mov     x5, #0
.Lweight_input:
        mov     x6, #0
.Lweight_output:
        fmov    s0, wzr
        add     x7, x0, x5, lsl #2              // x[0, i], then down its column
        add     x8, x1, x6, lsl #2              // d[0, o]
        mov     x9, #BATCH
.Lweight_sample:
        ldr     s1, [x7]
        ldr     s2, [x8]
        fmadd   s0, s1, s2, s0
        add     x7, x7, x3, lsl #2
        add     x8, x8, x4, lsl #2
        subs    x9, x9, #1
        b.ne    .Lweight_sample
        str     s0, [x2], #4
        add     x6, x6, #1
        cmp     x6, x4
        b.lt    .Lweight_output
        add     x5, x5, #1
        cmp     x5, x3
        b.lt    .Lweight_input
        ret

// db = the sum of d over the samples
//   x0 = d [BATCH x out]   x1 = db [out]   x2 = out > 0
        .type   bias_gradient, %function
bias_gradient:
        mov     x3, #0
.Lbias_output:
        fmov    s0, wzr
        add     x4, x0, x3, lsl #2
        mov     x5, #BATCH
.Lbias_sample:
        ldr     s1, [x4]
        fadd    s0, s0, s1
        add     x4, x4, x2, lsl #2
        subs    x5, x5, #1
        b.ne    .Lbias_sample
        str     s0, [x1, x3, lsl #2]
        add     x3, x3, #1
        cmp     x3, x2
        b.lt    .Lbias_output
        ret

// dz = d W^T where z > 0, else 0
//   x0 = d [BATCH x out]   x1 = W [in x out]   x2 = z [BATCH x in]   x3 = dz [BATCH x in]
//   x4 = in > 0   x5 = out > 0
        .type   input_gradient, %function
input_gradient:
        mov     x6, #BATCH
.Linput_row:
        mov     x7, #0
        mov     x8, x1                          // W[i, 0], on and on
.Linput_element:
        fmov    s0, wzr
        mov     x9, #0
.Linput_output:
        ldr     s1, [x0, x9, lsl #2]
        ldr     s2, [x8], #4
        fmadd   s0, s1, s2, s0
        add     x9, x9, #1
        cmp     x9, x5
        b.lt    .Linput_output
        ldr     s1, [x2, x7, lsl #2]
        fmov    s2, wzr
        fcmp    s1, #0.0
        fcsel   s0, s0, s2, gt
        str     s0, [x3, x7, lsl #2]
        add     x7, x7, #1
        cmp     x7, x4
        b.lt    .Linput_element
        add     x0, x0, x5, lsl #2
        add     x2, x2, x4, lsl #2
        add     x3, x3, x4, lsl #2
        subs    x6, x6, #1
        b.ne    .Linput_row
        ret

// w = w - rate g
//   x0 = w   x1 = g   x2 = how many > 0
        .type   descend, %function
descend:
        adrp    x3, rate
        ldr     s2, [x3, :lo12:rate]
.Ldescend_element:
        ldr     s0, [x0]
        ldr     s1, [x1], #4
        fmsub   s0, s1, s2, s0
        str     s0, [x0], #4
        subs    x2, x2, #1
        b.ne    .Ldescend_element
        ret

// Random points, and what the network is to say of them.
        .type   draw_batch, %function
draw_batch:
        str     x30, [sp, #-16]!
        array   x0, x
        mov     x1, #BATCH * INPUTS
        bl      draw
        array   x0, x
        array   x1, t
        mov     x2, #BATCH
.Lpoint:
        ldp     s0, s1, [x0], #8
        fmul    s0, s0, s1
        ldp     s1, s2, [x0], #8
        fsub    s1, s1, s2
        stp     s0, s1, [x1], #8
        subs    x2, x2, #1
        b.ne    .Lpoint
        ldr     x30, [sp], #16
        ret

// Numbers in -1..1, by Knuth's MMIX linear congruential generator.
//   x0 = where to   x1 = how many > 0
        .type   draw, %function
draw:
        adrp    x2, state
        ldr     x3, [x2, :lo12:state]
        ldr     x4, =6364136223846793005
        ldr     x5, =1442695040888963407
.Lnumber:
        madd    x3, x3, x4, x5
        asr     x6, x3, #40                     // its 24 best bits
        scvtf   s0, x6, #23
        str     s0, [x0], #4
        subs    x1, x1, #1
        b.ne    .Lnumber
        str     x3, [x2, :lo12:state]
        ret
