; The order in which an epoch visits the samples: for i from the last down to 1, swap
; order[i] with order[j], j random in 0..i.
;
; Fisher and Yates's shuffle as Durstenfeld wrote it (CACM, algorithm 235, 1964): every
; order is equally likely. Sample numbers move, not images.

%include "network.inc"

    default rel
    section .text

    extern  random_below                        ; random.asm

    global  order_in_file:function (order_in_file.end - order_in_file)
    global  order_shuffle:function (order_shuffle.end - order_shuffle)

;   void order_in_file(uint32_t *order, uint64_t count)
;   rdi = order  [count]
;   rsi = count  > 0
;   clobbers rax
%define order       rdi
%define count       rsi
%define i           rax

order_in_file:
    xor     i, i
.loop:
    mov     [order + i * INDEX], eax
    inc     i
    cmp     i, count
    jb      .loop
    ret
.end:

%undef order
%undef count
%undef i

;   void order_shuffle(uint32_t *order, uint64_t count, uint64_t *state)
;   rdi = order  [count]  read and written
;   rsi = count  > 0
;   rdx = state  [1]      of the random generator, read and written
;   clobbers what a call may
%define order       rbx
%define i           rbp
%define state       r12
%define j           rax

order_shuffle:
    push    rbx
    push    rbp
    push    r12                                 ; 8 + 3 * 8: calls are 16-byte aligned
    mov     order, rdi
    lea     i, [rsi - 1]
    mov     state, rdx

.loop:
    test    i, i
    jz      .done
    mov     rdi, state
    lea     rsi, [i + 1]
    call    random_below
    mov     ecx, [order + i * INDEX]
    mov     edx, [order + j * INDEX]
    mov     [order + i * INDEX], edx
    mov     [order + j * INDEX], ecx
    dec     i
    jmp     .loop

.done:
    pop     r12
    pop     rbp
    pop     rbx
    ret
.end:

%undef order
%undef i
%undef state
%undef j

    section .note.GNU-stack noalloc noexec nowrite progbits
