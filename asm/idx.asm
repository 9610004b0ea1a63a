; A file in the IDX format: found, mapped into memory and checked against its own header.
;
; The format is described in include/idx.inc. Nothing behind the header is believed before
; it was compared with the size of the file, so no later read can leave the mapping.

%include "network.inc"
%include "exit.inc"
%include "file.inc"
%include "idx.inc"

    default rel
    section .text

    extern  map_file                            ; map_file.asm
    extern  fail                                ; fail.asm
    extern  asprintf, strerror, __errno_location, open

    global  idx_load:function (idx_load.end - idx_load)
    global  idx_open:function (idx_open.end - idx_open)
    global  idx_check:function (idx_check.end - idx_check)

GZIP_MAGIC      equ 0x1f8b                      ; the first two bytes, big-endian

;   void idx_load(struct idx *file, const char *directory)
;   rdi = file       what is wanted; what is found is filled in
;   rsi = directory
;   ends the program if there is anything wrong with the file
;   clobbers what a call may
%define file        rbx
%define size        [rsp]                       ; uint64, bytes of the file

idx_load:
    push    rbx
    sub     rsp, 16                             ; 8 + 8 + 16: calls are 16-byte aligned
    mov     file, rdi
    call    idx_open
    mov     edi, eax
    mov     rsi, [file + idx.path]
    lea     rdx, [wanted]
    lea     rcx, size
    call    map_file
    mov     [file + idx.data], rax
    mov     rsi, size
    cmp     rsi, IDX_LABELS_HEADER              ; the shorter header: enough to tell what it is
    jb      .short
    mov     rdi, file
    call    idx_check
    add     rsp, 16
    pop     rbx
    ret

.short:
    mov     edi, EXIT_DATA
    mov     rdx, [file + idx.path]
    mov     rcx, rsi
    mov     r8, [file + idx.header]
    lea     rsi, [no_header]
    call    fail
.end:

%undef file
%undef size

;   int idx_open(struct idx *file, const char *directory)
;   rdi = file       .path is filled in
;   rsi = directory
;   returns a file descriptor in eax, or ends the program
;   clobbers what a call may
;
; MNIST's files are also spread as train-images.idx3-ubyte, so both names are tried.
%define file        rbx
%define directory   rbp
%define error       r12d

idx_open:
    push    rbx
    push    rbp
    push    r12                                 ; 8 + 3 * 8: calls are 16-byte aligned
    mov     file, rdi
    mov     directory, rsi

    mov     rcx, [file + idx.name]
    call    .try
    jns     .done
    cmp     error, ENOENT
    jne     .failed
    mov     rcx, [file + idx.other_name]
    call    .try
    jns     .done
    cmp     error, ENOENT
    jne     .failed
    mov     rcx, [file + idx.name]              ; neither is there: the message names this one
    call    .try
    js      .failed
.done:
    pop     r12
    pop     rbp
    pop     rbx
    ret

.try:                                           ; rcx = name; eax, sign flag and error are set
    sub     rsp, 8                              ; calls are 16-byte aligned
    lea     rdi, [file + idx.path]
    lea     rsi, [path_format]
    mov     rdx, directory
    xor     eax, eax
    call    asprintf
    test    eax, eax
    js      .tried                              ; no memory: errno says so
    mov     rdi, [file + idx.path]
    mov     esi, O_RDONLY | O_NONBLOCK | O_CLOEXEC
    xor     eax, eax
    call    open
.tried:
    mov     [rsp], eax
    call    __errno_location
    mov     error, [rax]
    mov     eax, [rsp]
    add     rsp, 8
    test    eax, eax
    ret

.failed:
    mov     edi, error
    call    strerror
    mov     edi, EXIT_DATA
    lea     rsi, [missing]
    cmp     error, ENOENT
    je      .report
    lea     rsi, [cannot_read]
.report:
    mov     rdx, [file + idx.path]
    mov     rcx, rax
    call    fail
.end:

%undef file
%undef directory
%undef error

;   void idx_check(struct idx *file, uint64_t size)
;   rdi = file  .data is the first byte of the file, and becomes that of the first sample;
;               .count is filled in
;   rsi = size  bytes in the file, at least IDX_LABELS_HEADER
;   ends the program if the header is not what is wanted or the size is not what it says
;   clobbers rax, rcx, rdx, rsi, r8, r9, r10
%define file        rdi
%define size        rsi
%define bytes       r10                         ; the file, from its first byte

idx_check:
    mov     bytes, [file + idx.data]
    mov     eax, [bytes]
    bswap   eax                                 ; big-endian
    cmp     rax, [file + idx.magic]
    jne     .wrong_magic
    cmp     size, [file + idx.header]
    jb      .short

    mov     eax, [bytes + 4]
    bswap   eax
    mov     [file + idx.count], rax
    test    eax, eax
    jz      .empty

    cmp     dword [file + idx.magic], IDX_IMAGES
    jne     .sized
    mov     ecx, [bytes + 8]
    bswap   ecx
    mov     r8d, [bytes + 12]
    bswap   r8d
    cmp     ecx, IMAGE_ROWS
    jne     .wrong_shape
    cmp     r8d, IMAGE_COLUMNS
    jne     .wrong_shape
.sized:
    mov     r9, rax                             ; count * sample + header: under 2^42
    imul    r9, [file + idx.sample]
    add     r9, [file + idx.header]
    cmp     size, r9
    jb      .truncated
    ja      .too_long

    add     bytes, [file + idx.header]
    mov     [file + idx.data], bytes
    ret

.wrong_magic:
    mov     ecx, eax
    mov     r8, [file + idx.magic]
    mov     edx, eax
    shr     edx, 16
    lea     rsi, [is_gzip]
    cmp     edx, GZIP_MAGIC
    je      .fail
    lea     rsi, [labels_for_images]
    cmp     eax, IDX_LABELS                     ; not the wanted magic, so the other one's
    je      .fail
    lea     rsi, [images_for_labels]
    cmp     eax, IDX_IMAGES
    je      .fail
    lea     rsi, [not_idx]
    jmp     .fail
.short:
    mov     rcx, size
    mov     r8, [file + idx.header]
    lea     rsi, [no_header]
    jmp     .fail
.empty:
    lea     rsi, [no_samples]
    jmp     .fail
.wrong_shape:
    mov     r9d, IMAGE_ROWS
    lea     rsi, [wrong_shape]
    jmp     .fail
.truncated:
    mov     rcx, size
    mov     r8, rax
    lea     rsi, [truncated]
    jmp     .fail
.too_long:
    mov     rcx, size
    mov     r8, rax
    lea     rsi, [too_long]
.fail:                                          ; rsi = format, rcx, r8, r9 = its numbers
    sub     rsp, 8                              ; calls are 16-byte aligned
    mov     rdx, [file + idx.path]
    mov     edi, EXIT_DATA
    call    fail
.end:

%undef file
%undef size
%undef bytes

    section .rodata

path_format:
    db  "%s/%s", 0
missing:
    db  "%s: %s; unpack MNIST's four IDX files into that directory, "
    db  "or name another one with --data", 0
cannot_read:
    db  "%s: cannot be read: %s; wanted a file in the IDX format", 0
wanted:
    db  "a file in the IDX format", 0
no_header:
    db  "%s: holds %lu bytes, wanted at least the %lu of its header; fetch the file again", 0
is_gzip:
    db  "%s: is compressed; unpack it with gunzip", 0
labels_for_images:
    db  "%s: holds labels, wanted images; were the two files swapped?", 0
images_for_labels:
    db  "%s: holds images, wanted labels; were the two files swapped?", 0
not_idx:
    db  "%s: begins with 0x%08x, wanted 0x%08x; this is not MNIST's file, fetch it again", 0
no_samples:
    db  "%s: holds no samples, wanted at least one; fetch the file again", 0
wrong_shape:                                    ; MNIST's images are square
    db  "%s: holds images of %u rows and %u columns, wanted %u of each", 0
truncated:
    db  "%s: is truncated: holds %lu bytes, but the %lu samples of its header make %lu; "
    db  "fetch the file again", 0
too_long:
    db  "%s: is too long: holds %lu bytes, but the %lu samples of its header make %lu; "
    db  "fetch the file again", 0

    section .note.GNU-stack noalloc noexec nowrite progbits
