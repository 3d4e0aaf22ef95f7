# SPDX-License-Identifier: Apache-2.0
# What is said to participants. Made by scripts/make-prompts, which needs espeak-ng; kept here, so
# that a build does not.
promptsdir = $(datadir)/conclave/prompts/en
dist_prompts_DATA = %D%/prompts/en/pin.wav %D%/prompts/en/pin-wrong.wav \
	%D%/prompts/en/pin-failed.wav %D%/prompts/en/alone.wav %D%/prompts/en/locked.wav \
	%D%/prompts/en/unlocked.wav %D%/prompts/en/knock.wav %D%/prompts/en/ending.wav \
	%D%/prompts/en/ended.wav
