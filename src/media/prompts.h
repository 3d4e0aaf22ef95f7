/* SPDX-License-Identifier: Apache-2.0 */
/* media/prompts.h - what is played to a leg alone, ready for the wire
 *
 * Made once, on the signalling thread, and never changed: frames of both laws, so that the packet
 * path copies octets. What no file is found for is a figure of tones that is computed.
 */
#pragma once

#include "conference/vocabulary.h"
#include "media/g711.h"

#include <stdint.h>

#define CLV_PROMPT_FRAME 160

typedef struct ClvPromptSound {
    ClvPrompt id;
    uint32_t n_frames;              /* 0 of CLV_PROMPT_NONE alone */
    uint8_t *code[CLV_N_G711_LAWS]; /* n_frames of CLV_PROMPT_FRAME octets */
} ClvPromptSound;

typedef struct ClvPrompts ClvPrompts;

/**
 * clv_prompts_load:
 * @dir: (nullable): folder with pin.wav and so on; NULL: tones only
 * @warnings: (element-type utf8): a sentence for each file that is missing or cannot be used
 *
 * Never fails.
 */
ClvPrompts *clv_prompts_load(const char *dir, GPtrArray *warnings);
/* The same warnings alone. */
void clv_prompts_check(const char *dir, GPtrArray *warnings);
void clv_prompts_free(ClvPrompts *prompts); /* NULL allowed */
const ClvPromptSound *clv_prompts_sound(const ClvPrompts *prompts, ClvPrompt prompt);
/* The file of a prompt in its folder, without ".wav"; NULL for CLV_PROMPT_NONE. */
const char *clv_prompts_name(ClvPrompt prompt);
