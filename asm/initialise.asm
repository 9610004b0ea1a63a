; W uniform in -limit .. limit with limit = sqrt(6 / (inputs + outputs)); b = 0.
;
; Glorot and Bengio, "Understanding the difficulty of training deep feedforward neural
; networks", AISTATS 2010, equation 16: signals and gradients keep their size from layer to
; layer.

%include "network.inc"
%include "buffers.inc"

    default rel
    section .text

    extern  random_unit                         ; random.asm

    global  initialise:function (initialise.end - initialise)
    global  glorot_uniform:function (glorot_uniform.end - glorot_uniform)

;   void initialise(uint64_t *state)
;   rdi = state  [1]  of the random generator, read and written
;   clobbers what a call may
;
; The biases begin at 0, which is what the loader puts into .bss.
%define state       rbx

initialise:
    push    rbx
    mov     state, rdi

    lea     rdi, [W1]
    mov     esi, INPUTS
    mov     edx, HIDDEN1
    mov     rcx, state
    call    glorot_uniform

    lea     rdi, [W2]
    mov     esi, HIDDEN1
    mov     edx, HIDDEN2
    mov     rcx, state
    call    glorot_uniform

    lea     rdi, [W3]
    mov     esi, HIDDEN2
    mov     edx, CLASSES
    mov     rcx, state
    call    glorot_uniform

    pop     rbx
    ret
.end:

%undef state

;   void glorot_uniform(float *W, int64_t inputs, int64_t outputs, uint64_t *state)
;   rdi = W        [inputs x outputs]
;   rsi = inputs   > 0
;   rdx = outputs  > 0
;   rcx = state    [1]  of the random generator, read and written
;   clobbers what a call may
%define W           rbx                         ; the next weight
%define count       rbp                         ; weights still to do
%define state       r12
%define limit       dword [rsp]

glorot_uniform:
    push    rbx
    push    rbp
    push    r12
    sub     rsp, 16                             ; 8 + 3 * 8 + 16: calls are 16-byte aligned
    mov     W, rdi
    mov     state, rcx
    mov     count, rsi
    imul    count, rdx

    add     rsi, rdx
    cvtsi2ss xmm1, rsi
    movss   xmm0, [six]
    divss   xmm0, xmm1
    sqrtss  xmm0, xmm0
    movss   limit, xmm0

.loop:
    mov     rdi, state
    call    random_unit
    addss   xmm0, xmm0                          ; 0..1 to -1..1
    subss   xmm0, [one]
    mulss   xmm0, limit
    movss   [W], xmm0
    add     W, F32
    dec     count
    jnz     .loop

    add     rsp, 16
    pop     r12
    pop     rbp
    pop     rbx
    ret
.end:

%undef W
%undef count
%undef state
%undef limit

    section .rodata align=4

six:            dd 6.0
one:            dd 1.0

    section .note.GNU-stack noalloc noexec nowrite progbits
