; The order in which an epoch visits the samples: for i from the last down to 1, swap
; order[i] with order[j], j random in 0..i.
;
; Fisher and Yates's shuffle as Durstenfeld wrote it (CACM, algorithm 235, 1964): every
; order is equally likely. Sample numbers move, not images.

%include "network.inc"
%include "exit.inc"

    default rel
    section .text

    extern  random_below                        ; random.asm
    extern  train_count, test_count             ; dataset.asm
    extern  fail                                ; fail.asm
    extern  malloc

    global  allocate_orders:function (allocate_orders.end - allocate_orders)
    global  order_in_file:function (order_in_file.end - order_in_file)
    global  order_shuffle:function (order_shuffle.end - order_shuffle)

;   void allocate_orders(void)
;   reads  train_count, test_count
;   writes train_order; test_order and what it points to: the test goes in the order of the file
;   ends the program if there is no memory
;   clobbers what a call may
allocate_orders:
    sub     rsp, 8                              ; calls are 16-byte aligned
    imul    rdi, [train_count], INDEX
    call    malloc
    mov     [train_order], rax
    test    rax, rax
    jz      .no_memory
    imul    rdi, [test_count], INDEX
    call    malloc
    mov     [test_order], rax
    test    rax, rax
    jz      .no_memory
    mov     rdi, [test_order]
    mov     rsi, [test_count]
    call    order_in_file
    add     rsp, 8
    ret

.no_memory:
    mov     edi, EXIT_DATA
    lea     rsi, [no_memory]
    mov     rdx, [train_count]
    mov     rcx, [test_count]
    call    fail
.end:

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

    section .bss align=8

    global  train_order:data (train_order.end - train_order)
    global  test_order:data (test_order.end - test_order)

train_order:    resq 1                          ; uint32_t *, [train_count]
.end:
test_order:     resq 1                          ; uint32_t *, [test_count]
.end:

    section .rodata

no_memory:
    db  "no memory for the order of %lu and %lu samples; use a smaller --train-limit or "
    db  "--test-limit", 0

    section .note.GNU-stack noalloc noexec nowrite progbits
