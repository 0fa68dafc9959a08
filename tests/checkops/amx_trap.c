/* SPDX-License-Identifier: Apache-2.0 */
/* Decodes and carries out the AMX instructions that gcc and clang make of ops/x86/matmul_amx.c. Semantics, encodings and faults:
 * Intel SDM volume 2, "Intel AMX instruction reference", and volume 1, chapter 18. Nothing else is decoded. */
#if defined(__linux__) && !defined(_GNU_SOURCE)
#define _GNU_SOURCE   /* names of registers */
#endif
#include "amx_trap.h"

#if defined(__linux__) && defined(__x86_64__)
#include <signal.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <ucontext.h>
#include <unistd.h>

enum { TILES = 8, ROWS = 16, LINE = 64, WORDS = LINE / 4, REFUSED = 99 };
enum { NP, P66, PF3, PF2 };                                            /* a VEX prefix's pp */
enum { CONFIGURE = 0x49, MOVE = 0x4B, DOT_BF16 = 0x5C, DOT_INT8 = 0x5E };   /* opcodes of the map 0F38 */

typedef struct Tile {
    unsigned rows, bytes;   /* of a row; 0: not configured */
    _Alignas(LINE) uint8_t at[ROWS][LINE];
} Tile;
static _Thread_local Tile tiles[TILES];

typedef struct Instruction {
    unsigned op, pp, size;
    bool memory;
    unsigned reg, rm, vvvv;     /* tiles: reg is written */
    uint8_t *base;
    ptrdiff_t index;            /* of memory: MOVE takes it as the stride */
} Instruction;

static _Thread_local const uint8_t *now;   /* the instruction, for refuse() */

static void refuse(const char *why)
{
    fprintf(stderr, "checkops: AMX instruction %02x %02x %02x %02x %02x: %s\n", now[0], now[1], now[2], now[3], now[4], why);
    _exit(REFUSED);
}

static void require(bool ok, const char *why)
{
    if (!ok) refuse(why);
}

static uint8_t *value_of(const greg_t *g, unsigned reg)
{
    static const int order[] = { REG_RAX, REG_RCX, REG_RDX, REG_RBX, REG_RSP, REG_RBP, REG_RSI, REG_RDI,
                                 REG_R8, REG_R9, REG_R10, REG_R11, REG_R12, REG_R13, REG_R14, REG_R15 };
    return (uint8_t *)g[order[reg]];
}

/* base, index and displacement of what ModRM says, SDM volume 2, 2.1.5 */
static void decode_memory(Instruction *in, const uint8_t *p, const greg_t *g, unsigned x, unsigned b)
{
    const unsigned mod = p[4] >> 6;
    unsigned base = p[4] & 7;
    in->size = 5;
    if (base == 4) {
        const unsigned sib = p[in->size++], index = (sib >> 3 & 7) | x << 3;
        base = sib & 7;
        if (index != 4) in->index = (ptrdiff_t)((uintptr_t)value_of(g, index) << (sib >> 6));
    } else {
        require(in->op != MOVE, "a tile is moved without SIB");
        require(mod != 0 || base != 5, "relative to RIP");
    }
    int32_t offset = 0;
    if (mod == 1) offset = (int8_t)p[in->size++];
    const bool absolute = mod == 0 && base == 5;
    if (mod == 2 || absolute) {
        memcpy(&offset, p + in->size, sizeof offset);
        in->size += sizeof offset;
    }
    in->base = (absolute ? NULL : value_of(g, base | b << 3)) + offset;
}

static Instruction decode(const uint8_t *p, const greg_t *g)
{
    require(p[0] == 0xC4 && (p[1] & 31) == 2 && (p[1] & 128) && !(p[2] >> 7) && !(p[2] >> 2 & 1), "not VEX.128.0F38.W0");
    Instruction in = { .op = p[3], .pp = p[2] & 3, .size = 5, .memory = p[4] >> 6 != 3 };
    in.reg = p[4] >> 3 & 7;
    in.rm = p[4] & 7;
    in.vvvv = ~p[2] >> 3 & 15;
    require(in.op == DOT_BF16 || in.op == DOT_INT8 || in.vvvv == 0, "vvvv");
    if (in.memory) decode_memory(&in, p, g, !(p[1] & 64), !(p[1] & 32));
    return in;
}

static void configure(const uint8_t *c)
{
    memset(tiles, 0, sizeof tiles);
    if (c[0] == 0) return;
    require(c[0] == 1 && c[1] == 0, "palette or start row");
    for (int i = 2; i < 16; i++) require(c[i] == 0, "reserved bytes");
    for (int t = 0; t < 16; t++) {
        uint16_t bytes;
        memcpy(&bytes, c + 16 + 2 * t, sizeof bytes);
        require(bytes <= LINE && c[48 + t] <= ROWS && !bytes == !c[48 + t] && (t < TILES || !bytes), "size of a tile");
        if (t < TILES) tiles[t] = (Tile){ .rows = c[48 + t], .bytes = bytes };
    }
}

static void move(const Instruction *in)
{
    Tile *t = &tiles[in->reg];
    require(in->memory && in->pp != NP && t->rows, "a tile that is not configured is moved");
    if (in->pp != PF3) memset(t->at, 0, sizeof t->at);
    for (unsigned r = 0; r < t->rows; r++) {
        uint8_t *row = in->base + (ptrdiff_t)r * in->index;
        if (in->pp == PF3) memcpy(row, t->at[r], t->bytes);
        else memcpy(t->at[r], row, t->bytes);
    }
}

/* denormals are taken as 0 */
static float bf16(const uint8_t *p)
{
    const uint32_t bits = (uint32_t)p[1] << 24 | (uint32_t)p[0] << 16;
    float value;
    memcpy(&value, &bits, sizeof value);
    return bits & 0x7F800000 ? value : 0;
}

static void add_bf16(uint8_t *sum, const uint8_t *a, const uint8_t *b)
{
    float s;
    memcpy(&s, sum, sizeof s);
    s += bf16(a) * bf16(b);
    s += bf16(a + 2) * bf16(b + 2);
    memcpy(sum, &s, sizeof s);
}

/* bytes of a and b, signed or not by the prefix; sums wrap around */
static void add_int8(uint8_t *sum, const uint8_t *a, const uint8_t *b, unsigned pp)
{
    uint32_t s;
    memcpy(&s, sum, sizeof s);
    for (int j = 0; j < 4; j++) {
        const int x = pp == PF3 || pp == PF2 ? (int8_t)a[j] : a[j], y = pp == P66 || pp == PF2 ? (int8_t)b[j] : b[j];
        s += (uint32_t)(x * y);
    }
    memcpy(sum, &s, sizeof s);
}

static void multiply(const Instruction *in)
{
    Tile *c = &tiles[in->reg];
    const Tile *a = &tiles[in->rm], *b = &tiles[in->vvvv & 7];
    require(!in->memory && in->vvvv < TILES && c != a && c != b && a != b, "tiles of a product");
    require(c->rows && b->rows && c->rows == a->rows && c->bytes == b->bytes && a->bytes == 4 * b->rows, "shapes of a product");
    for (unsigned m = 0; m < c->rows; m++)
        for (unsigned k = 0; k < b->rows; k++)
            for (unsigned n = 0; n < c->bytes / 4; n++) {
                if (in->op == DOT_BF16) add_bf16(c->at[m] + 4 * n, a->at[m] + 4 * k, b->at[k] + 4 * n);
                else add_int8(c->at[m] + 4 * n, a->at[m] + 4 * k, b->at[k] + 4 * n, in->pp);
            }
}

static void carry_out(int signal, siginfo_t *info, void *context)
{
    (void)signal, (void)info;
    greg_t *g = ((ucontext_t *)context)->uc_mcontext.gregs;
    now = (const uint8_t *)g[REG_RIP];
    const Instruction in = decode(now, g);
    if (in.op == CONFIGURE && in.memory && in.pp == NP) configure(in.base + in.index);
    else if (in.op == CONFIGURE && !in.memory && in.pp == NP && now[4] == 0xC0) memset(tiles, 0, sizeof tiles);   /* TILERELEASE */
    else if (in.op == CONFIGURE && !in.memory && in.pp == PF2 && tiles[in.reg].rows) memset(tiles[in.reg].at, 0, sizeof tiles->at);
    else if (in.op == MOVE) move(&in);
    else if ((in.op == DOT_BF16 && in.pp == PF3) || in.op == DOT_INT8) multiply(&in);
    else refuse("unknown");
    g[REG_RIP] += in.size;
}

bool muse_amx_trap_open(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_sigaction = carry_out;
    action.sa_flags = SA_SIGINFO;
    return sigaction(SIGILL, &action, NULL) == 0;
}

#else
bool muse_amx_trap_open(void) { return false; }
#endif
