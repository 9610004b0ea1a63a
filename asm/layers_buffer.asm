; Every array of the network, and the numbers that describe the batch in them.
;
;   x -> z1 = x W1 + b1 -> h1 -> z2 = h1 W2 + b2 -> h2 -> z3 = h2 W3 + b3 -> p, loss
;
; Rows lie one after the other without gaps; weights are [inputs, outputs]. Each buffer
; begins on a cache line and is followed by one that belongs to nobody, so that a store
; past the end is seen by a watchpoint before it hits the neighbour.

%include "network.inc"

    default rel

; BUFFER name, count, bytes: a sized symbol, aligned, with its guard behind it
%macro BUFFER 3
    alignb  CACHE_LINE
    global  %1:data (%1.end - %1)
%1:
    resb    (%2) * (%3)
%1.end:
    resb    CACHE_LINE
%endmacro

    section .bss align=CACHE_LINE

; ---- the batch

    BUFFER  x,       BATCH_MAX * INPUTS,  F32     ; pixels, 0..1
    BUFFER  y,       BATCH_MAX,           1         ; labels, 0..9, bytes

; ---- layer 1

    BUFFER  W1,      INPUTS * HIDDEN1,    F32
    BUFFER  b1,      HIDDEN1,             F32
    BUFFER  z1,      BATCH_MAX * HIDDEN1, F32     ; kept: the backward pass asks z > 0
    BUFFER  h1,      BATCH_MAX * HIDDEN1, F32

; ---- layer 2

    BUFFER  W2,      HIDDEN1 * HIDDEN2,   F32
    BUFFER  b2,      HIDDEN2,             F32
    BUFFER  z2,      BATCH_MAX * HIDDEN2, F32
    BUFFER  h2,      BATCH_MAX * HIDDEN2, F32

; ---- layer 3

    BUFFER  W3,      HIDDEN2 * CLASSES,   F32
    BUFFER  b3,      CLASSES,             F32
    BUFFER  z3,      BATCH_MAX * CLASSES, F32
    BUFFER  p,       BATCH_MAX * CLASSES, F32     ; probabilities: every row adds up to 1
    BUFFER  loss,    1,                   F32     ; mean over the batch

; ---- gradients: d loss / d name, in the order in which they are computed

    BUFFER  grad_z3, BATCH_MAX * CLASSES, F32
    BUFFER  dW3,     HIDDEN2 * CLASSES,   F32
    BUFFER  dbias3,  CLASSES,             F32
    BUFFER  grad_h2, BATCH_MAX * HIDDEN2, F32
    BUFFER  grad_z2, BATCH_MAX * HIDDEN2, F32
    BUFFER  dW2,     HIDDEN1 * HIDDEN2,   F32
    BUFFER  dbias2,  HIDDEN2,             F32
    BUFFER  grad_h1, BATCH_MAX * HIDDEN1, F32
    BUFFER  grad_z1, BATCH_MAX * HIDDEN1, F32
    BUFFER  dW1,     INPUTS * HIDDEN1,    F32
    BUFFER  dbias1,  HIDDEN1,             F32

; ---- dropout: 0 or 1 / (1 - rate) for each number of h

    BUFFER  mask1,   BATCH_MAX * HIDDEN1, F32
    BUFFER  mask2,   BATCH_MAX * HIDDEN2, F32

; ---- momentum: the velocity of each parameter

    BUFFER  vW1,     INPUTS * HIDDEN1,    F32
    BUFFER  vb1,     HIDDEN1,             F32
    BUFFER  vW2,     HIDDEN1 * HIDDEN2,   F32
    BUFFER  vb2,     HIDDEN2,             F32
    BUFFER  vW3,     HIDDEN2 * CLASSES,   F32
    BUFFER  vb3,     CLASSES,             F32

; ---- random streams: the state of each generator, see random.asm

    BUFFER  weight_state,  1, 8                     ; uint64
    BUFFER  order_state,   1, 8                     ; uint64
    BUFFER  dropout_state, 1, 8                     ; uint64

; ---- which batch it is

    BUFFER  batch_rows,  1, 8                       ; int64: rows in use, 1..BATCH_MAX
    BUFFER  batch_order, 1, 8                       ; const uint32_t *: the samples' numbers

    section .note.GNU-stack noalloc noexec nowrite progbits
