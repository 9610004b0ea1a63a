; MNIST: four IDX files, two of images and two of labels, checked against each other.

%include "network.inc"
%include "exit.inc"
%include "idx.inc"

    default rel
    section .text

    extern  idx_load                            ; idx.asm
    extern  fail                                ; fail.asm

    global  load_dataset:function (load_dataset.end - load_dataset)
    global  check_labels:function (check_labels.end - check_labels)

    global  train_images:data (train_images.end - train_images)
    global  train_labels:data (train_labels.end - train_labels)
    global  train_count:data (train_count.end - train_count)
    global  test_images:data (test_images.end - test_images)
    global  test_labels:data (test_labels.end - test_labels)
    global  test_count:data (test_count.end - test_count)

;   void load_dataset(const char *directory, uint64_t train_limit, uint64_t test_limit)
;   rdi = directory
;   rsi = train_limit  > 0  use at most so many samples
;   rdx = test_limit   > 0
;   writes train_images .. test_count
;   ends the program if there is anything wrong with a file
;   clobbers what a call may
%define directory   rbx
%define train_limit rbp
%define test_limit  r12

load_dataset:
    push    rbx
    push    rbp
    push    r12                                 ; 8 + 3 * 8: calls are 16-byte aligned
    mov     directory, rdi
    mov     train_limit, rsi
    mov     test_limit, rdx

    lea     rdi, [train_images_file]
    mov     rsi, directory
    call    idx_load
    lea     rdi, [train_labels_file]
    mov     rsi, directory
    call    idx_load
    lea     rdi, [train_labels_file]
    lea     rsi, [train_images_file]
    call    check_labels
    mov     rax, [train_images_file + idx.data]
    mov     [train_images], rax
    mov     rax, [train_labels_file + idx.data]
    mov     [train_labels], rax
    mov     rax, [train_labels_file + idx.count]
    cmp     rax, train_limit
    cmova   rax, train_limit
    mov     [train_count], rax

    lea     rdi, [test_images_file]
    mov     rsi, directory
    call    idx_load
    lea     rdi, [test_labels_file]
    mov     rsi, directory
    call    idx_load
    lea     rdi, [test_labels_file]
    lea     rsi, [test_images_file]
    call    check_labels
    mov     rax, [test_images_file + idx.data]
    mov     [test_images], rax
    mov     rax, [test_labels_file + idx.data]
    mov     [test_labels], rax
    mov     rax, [test_labels_file + idx.count]
    cmp     rax, test_limit
    cmova   rax, test_limit
    mov     [test_count], rax

    pop     r12
    pop     rbp
    pop     rbx
    ret
.end:

%undef directory
%undef train_limit
%undef test_limit

;   void check_labels(const struct idx *labels, const struct idx *images)
;   rdi = labels  loaded
;   rsi = images  loaded
;   ends the program unless there is one label per image and each is 0 .. CLASSES-1
;   clobbers rax, rcx, rdx
%define labels      rdi
%define images      rsi
%define count       rax
%define bytes       rdx
%define n           rcx

check_labels:
    mov     count, [labels + idx.count]
    cmp     count, [images + idx.count]
    jne     .counts_differ
    mov     bytes, [labels + idx.data]
    xor     n, n
.loop:
    cmp     byte [bytes + n], CLASSES
    jae     .no_class
    inc     n
    cmp     n, count
    jb      .loop
    ret

.counts_differ:
    sub     rsp, 8                              ; calls are 16-byte aligned
    mov     rdx, [labels + idx.path]
    mov     rcx, count
    mov     r8, [images + idx.count]
    mov     r9, [images + idx.path]
    mov     edi, EXIT_DATA
    lea     rsi, [counts_differ]
    call    fail
.no_class:
    sub     rsp, 8                              ; calls are 16-byte aligned
    movzx   r8d, byte [bytes + n]
    mov     rdx, [labels + idx.path]
    mov     r9d, CLASSES - 1
    mov     edi, EXIT_DATA
    lea     rsi, [no_class]
    call    fail
.end:

%undef labels
%undef images
%undef count
%undef bytes
%undef n

; ---- what is wanted; idx.asm fills in the rest

    section .data align=8

train_images_file:
    istruc  idx
    at      idx.name,       dq train_images_name
    at      idx.other_name, dq train_images_other
    at      idx.magic,      dq IDX_IMAGES
    at      idx.header,     dq IDX_IMAGES_HEADER
    at      idx.sample,     dq INPUTS
    iend
train_labels_file:
    istruc  idx
    at      idx.name,       dq train_labels_name
    at      idx.other_name, dq train_labels_other
    at      idx.magic,      dq IDX_LABELS
    at      idx.header,     dq IDX_LABELS_HEADER
    at      idx.sample,     dq 1
    iend
test_images_file:
    istruc  idx
    at      idx.name,       dq test_images_name
    at      idx.other_name, dq test_images_other
    at      idx.magic,      dq IDX_IMAGES
    at      idx.header,     dq IDX_IMAGES_HEADER
    at      idx.sample,     dq INPUTS
    iend
test_labels_file:
    istruc  idx
    at      idx.name,       dq test_labels_name
    at      idx.other_name, dq test_labels_other
    at      idx.magic,      dq IDX_LABELS
    at      idx.header,     dq IDX_LABELS_HEADER
    at      idx.sample,     dq 1
    iend

; ---- what is found

    section .bss align=8

train_images:   resq 1                          ; const uint8_t *, [train_count x INPUTS]
.end:
train_labels:   resq 1                          ; const uint8_t *, [train_count]
.end:
train_count:    resq 1                          ; uint64
.end:
test_images:    resq 1                          ; const uint8_t *, [test_count x INPUTS]
.end:
test_labels:    resq 1                          ; const uint8_t *, [test_count]
.end:
test_count:     resq 1                          ; uint64
.end:

    section .rodata

train_images_name:  db "train-images-idx3-ubyte", 0
train_images_other: db "train-images.idx3-ubyte", 0
train_labels_name:  db "train-labels-idx1-ubyte", 0
train_labels_other: db "train-labels.idx1-ubyte", 0
test_images_name:   db "t10k-images-idx3-ubyte", 0
test_images_other:  db "t10k-images.idx3-ubyte", 0
test_labels_name:   db "t10k-labels-idx1-ubyte", 0
test_labels_other:  db "t10k-labels.idx1-ubyte", 0

counts_differ:
    db  "%s: holds %lu labels, wanted one for each of the %lu images in %s", 0
no_class:
    db  "%s: label of sample %lu is %lu, wanted 0 to %lu; fetch the file again", 0

    section .note.GNU-stack noalloc noexec nowrite progbits
