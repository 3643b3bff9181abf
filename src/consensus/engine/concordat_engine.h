/* C ABI of the raft engine. Written by hand; src/abi.rs must be changed with it.
 *
 * Rules for every function:
 *  - `engine` is a pointer from concordat_engine_create, not yet destroyed, used by one thread at a time.
 *  - What comes from outside (message bytes, options) is checked and refused with a status. A broken rule of this
 *    page is a mistake of the caller and ends the process.
 *  - No call unwinds: neither a panic out of the library nor an exception out of a callback.
 */
#ifndef CONCORDAT_ENGINE_H
#define CONCORDAT_ENGINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C"
{
#endif

#define CONCORDAT_ENGINE_DESCRIPTOR_SIZE 56
/* Bytes 16 to 23 of a descriptor hold the length of its batch, little-endian; the rest is opaque to the engine. */
#define CONCORDAT_ENGINE_DESCRIPTOR_LENGTH_AT 16
/* Nodes that one entry may give another role. */
#define CONCORDAT_ENGINE_MAX_CHANGES 16

  enum concordat_engine_status_code
  {
    CONCORDAT_ENGINE_OK = 0,
    CONCORDAT_ENGINE_INVALID = 1,
    CONCORDAT_ENGINE_CORRUPT = 2,
    CONCORDAT_ENGINE_UNAVAILABLE = 3,
    CONCORDAT_ENGINE_LIMIT = 4
  };

  /* Filled when a function returns something other than OK; the text ends with a zero byte. */
  typedef struct
  {
    char message[256];
  } concordat_engine_error;

  /* kind 0: the empty entry that opens a term; 1: a batch with its descriptor; 2: a batch that changes the
   * configuration. Its changes give the node of each id a role (0 none, 1 learner, 2 voter): one change takes effect at
   * once unless change_joint is set, several make the configuration joint, none leaves the joint one. Ids differ and
   * lie between 1 and 2^63 - 1.
   */
  typedef struct
  {
    uint64_t index;
    uint64_t term;
    uint32_t kind;
    uint32_t change_count;
    uint64_t change_ids[CONCORDAT_ENGINE_MAX_CHANGES];
    uint8_t change_roles[CONCORDAT_ENGINE_MAX_CHANGES];
    bool change_joint; /* of one change only */
    uint8_t descriptor[CONCORDAT_ENGINE_DESCRIPTOR_SIZE];
  } concordat_engine_entry;

  /* The caller's raft log. Callbacks are only called from within a function of this page. `entry` may say false of an
   * entry that is applied, if it can't be read: a follower that lacks it is reported as stranded. */
  typedef struct
  {
    const void* context;
    uint64_t (*first_index)(const void* context);
    uint64_t (*last_index)(const void* context);
    bool (*term)(const void* context, uint64_t index, uint64_t* term);
    bool (*entry)(const void* context, uint64_t index, concordat_engine_entry* entry);
  } concordat_engine_log;

  typedef struct
  {
    uint64_t term;
    uint64_t vote;
    uint64_t commit;
  } concordat_engine_hard_state;

  /* Ids between 1 and 2^63 - 1, each once in a list. Learners are no voters; next learners are outgoing voters and no
   * voters; there is at least one voter. */
  typedef struct
  {
    const uint64_t* voters;
    size_t voter_count;
    const uint64_t* learners;
    size_t learner_count;
    const uint64_t* voters_outgoing;
    size_t voter_outgoing_count;
    const uint64_t* learners_next;
    size_t learner_next_count;
  } concordat_engine_configuration;

  typedef struct
  {
    uint64_t id;
    concordat_engine_configuration configuration; /* after the entry `applied` */
    concordat_engine_hard_state hard_state;
    uint64_t applied;
    uint64_t election_ticks;
    uint64_t heartbeat_ticks;
    uint64_t max_inflight_messages;   /* appends on their way to one follower */
    uint64_t max_message_entries;     /* of one append */
    uint64_t max_message_batch_bytes; /* of the batches beside one append, unless it has one entry only */
    uint64_t max_waiting_entries;     /* proposed, not committed */
    uint64_t seed;                    /* of the election time-outs; 0 takes them from the operating system */
    bool observes;                    /* does not campaign, and votes for votes_for alone, until take_part */
    uint64_t votes_for;
  } concordat_engine_options;

  typedef struct
  {
    uint64_t to;
    const uint8_t* bytes;
    size_t size;
    const concordat_engine_entry* entries;
    size_t entry_count;
  } concordat_engine_message;

  typedef struct
  {
    uint64_t token;
    uint64_t index;
  } concordat_engine_read;

  /* Everything pointed to belongs to the engine and stays valid until the next call with it. */
  typedef struct
  {
    uint64_t number;
    const concordat_engine_message* messages;
    size_t message_count;
    bool has_hard_state;
    concordat_engine_hard_state hard_state;
    const concordat_engine_entry* entries;
    size_t entry_count;
    const concordat_engine_message* persisted_messages;
    size_t persisted_message_count;
    const concordat_engine_entry* committed;
    size_t committed_count;
    const concordat_engine_read* reads;
    size_t read_count;
    const uint64_t* stranded;
    size_t stranded_count;
  } concordat_engine_ready;

  typedef struct
  {
    uint64_t term;
    uint64_t leader;
    uint64_t commit;
    uint64_t handing_over_to; /* 0: to nobody */
    bool leads;
    bool change_pending; /* a change of the configuration may be in the log and is not applied */
  } concordat_engine_status;

  typedef struct
  {
    uint64_t id;
    uint64_t matched;
    bool active;   /* heard from in this term, at most an election time-out ago */
    bool stranded; /* needs entries that the log no longer has */
  } concordat_engine_peer;

  /* What a leader knows of the others; of a node that does not lead, nothing. Belongs to the engine, as a round does.
   */
  typedef struct
  {
    const concordat_engine_peer* peers;
    size_t peer_count;
    bool has_quorum; /* the active ones and this node decide */
  } concordat_engine_progress;

  typedef struct
  {
    uint64_t from;
    uint64_t to;
    uint64_t term;
  } concordat_engine_summary;

  /* Sees every entry of a message; false refuses the message. */
  typedef bool (*concordat_engine_visit)(void* context, const concordat_engine_entry* entry);

  /* Severity 1 critical, 2 error, 3 warning. May be called by several engines' threads at once. */
  typedef void (*concordat_engine_logger)(uint32_t severity, const char* text, size_t size);

  typedef struct concordat_engine concordat_engine;

  /* A number made of the sizes of all structs of this page, in their order: n = 31 n + size, modulo 2^64, from 0. It
   * differs when this header and the library are not of the same version. */
  uint64_t concordat_engine_layout(void);

  /* The log (and its context) must outlive the engine; `logger` may be null. */
  uint32_t concordat_engine_create(
      const concordat_engine_options* options, const concordat_engine_log* log, concordat_engine_logger logger,
      concordat_engine** engine, concordat_engine_error* error);
  void concordat_engine_destroy(concordat_engine* engine);

  void concordat_engine_tick(concordat_engine* engine);
  uint32_t concordat_engine_campaign(concordat_engine* engine, concordat_engine_error* error);
  uint32_t concordat_engine_propose(concordat_engine* engine, const uint8_t* descriptor, concordat_engine_error* error);
  /* `entry` is of kind 2; its index and term are not looked at. */
  uint32_t concordat_engine_propose_change(
      concordat_engine* engine, const concordat_engine_entry* entry, concordat_engine_error* error);
  uint32_t concordat_engine_transfer(concordat_engine* engine, uint64_t to, concordat_engine_error* error);
  /* Leads no longer, and says so to nobody. Without effect on a follower. */
  void concordat_engine_step_down(concordat_engine* engine);
  void concordat_engine_unreachable(concordat_engine* engine, uint64_t peer);
  void concordat_engine_take_part(concordat_engine* engine);
  void concordat_engine_vote_for(concordat_engine* engine, uint64_t id);
  /* What is committed up to an entry, as another node knows. Without effect on a leader, and unless the log has it. */
  void concordat_engine_learn_committed(concordat_engine* engine, uint64_t index, uint64_t term);
  uint32_t concordat_engine_read_index(concordat_engine* engine, uint64_t token, concordat_engine_error* error);
  uint32_t concordat_engine_step(
      concordat_engine* engine, const uint8_t* bytes, size_t size, concordat_engine_visit visit, void* context,
      concordat_engine_error* error);

  void concordat_engine_get_status(const concordat_engine* engine, concordat_engine_status* status);
  void concordat_engine_get_progress(concordat_engine* engine, concordat_engine_progress* progress);
  void concordat_engine_get_configuration(concordat_engine* engine, concordat_engine_configuration* configuration);
  bool concordat_engine_has_ready(const concordat_engine* engine);
  /* Rounds do not nest: after `ready` comes `advance` or `advance_early`, and between them only apply_change and the
   * functions that get something. */
  void concordat_engine_take_ready(concordat_engine* engine, concordat_engine_ready* ready);
  void concordat_engine_advance(concordat_engine* engine, concordat_engine_ready* ready);
  /* Ends a round that is not yet persisted: its entries are in the log, and persisted_messages wait. Later `persisted`
   * names the round's number, in order; an `advance` says it of all rounds before. */
  void concordat_engine_advance_early(concordat_engine* engine);
  void concordat_engine_persisted(concordat_engine* engine, uint64_t number);
  /* Takes up the configuration of a committed entry of kind 2: of each, in order, before `advance` or `applied` says
   * that it is applied. After a refusal (CORRUPT) nothing has changed, and the engine can't go on. */
  uint32_t concordat_engine_apply_change(
      concordat_engine* engine, const concordat_engine_entry* entry, concordat_engine_error* error);
  void concordat_engine_applied(concordat_engine* engine, uint64_t index);

  /* Reads and checks a message without an engine. */
  uint32_t concordat_engine_inspect(
      const uint8_t* bytes, size_t size, concordat_engine_visit visit, void* context, concordat_engine_summary* summary,
      concordat_engine_error* error);

#ifdef __cplusplus
}
#endif

#endif
