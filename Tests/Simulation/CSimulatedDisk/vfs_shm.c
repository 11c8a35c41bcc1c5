// The VFS: shared memory of the connections to one database, the index of its write-ahead log.
//
// It is no file here: it is gone with its last connection and with a crash, after which SQLite builds it
// anew from the log, as it does on Unix for the first that opens. It takes space of the disk like one.
#include "vfs.h"

#include <stdlib.h>

static sd_vfs_file *cast(sqlite3_file *base) { return (sd_vfs_file *)base; }

static void let_go(sd_shm *shm) {
  if (--shm->holders) return;
  for (int i = 0; i < shm->region_count; i++) free(shm->regions[i]);
  free(shm->regions);
  free(shm);
}

void sd_detach_shm(sd_inode *inode) {
  sd_shm *shm = inode->shm;
  if (!shm) return;
  inode->shm = NULL;
  shm->disk->shm_bytes -= (uint64_t)shm->region_count * (uint64_t)shm->region_bytes;
  let_go(shm);
}

static sd_shm_handle *attached(sd_file *file) {
  sd_inode *inode = file->inode;
  if (!inode->shm) {
    inode->shm = sd_allocate(sizeof *inode->shm);
    inode->shm->disk = file->disk;
    // The inode's own hold.
    inode->shm->holders = 1;
  }
  sd_shm_handle *handle = sd_allocate(sizeof *handle);
  handle->shm = inode->shm;
  handle->next = inode->shm->handles;
  inode->shm->handles = handle;
  inode->shm->holders++;
  return handle;
}

/// False where the disk has no room.
static bool extended(sd_disk *disk, sd_shm *shm, int count, int bytes) {
  uint64_t more = (uint64_t)(count - shm->region_count) * (uint64_t)bytes;
  if (sd_used_bytes(disk) + more > disk->options.capacity_bytes) return false;
  uint8_t **regions = realloc(shm->regions, (size_t)count * sizeof *regions);
  if (!regions) abort();
  shm->regions = regions;
  shm->region_bytes = bytes;
  while (shm->region_count < count) shm->regions[shm->region_count++] = sd_allocate((size_t)bytes);
  disk->shm_bytes += more;
  return true;
}

int sd_shm_map(sqlite3_file *base, int region, int bytes, int extends, void volatile **start) {
  sd_vfs_file *file = cast(base);
  sd_disk *disk = file->file->disk;
  *start = NULL;
  if (!sd_is_usable(file)) return SQLITE_IOERR_SHMMAP;
  if (!file->shm) file->shm = attached(file->file);
  sd_shm *shm = file->shm->shm;
  int result = SQLITE_OK;
  if (region >= shm->region_count && extends && !extended(disk, shm, region + 1, bytes)) {
    result = SQLITE_IOERR_SHMSIZE;
  }
  if (region < shm->region_count) *start = shm->regions[region];
  sd_note(disk, SD_TRACE_SHM_MAP, file->file->inode->id, (uint64_t)region, (uint64_t)bytes, result, 0);
  return result;
}

static int locked(sd_shm_handle *handle, unsigned mask, int flags) {
  unsigned shared = 0, exclusive = 0;
  for (sd_shm_handle *other = handle->shm->handles; other; other = other->next) {
    if (other == handle) continue;
    shared |= other->shared;
    exclusive |= other->exclusive;
  }
  if (flags & SQLITE_SHM_UNLOCK) {
    handle->shared &= ~mask;
    handle->exclusive &= ~mask;
  } else if (flags & SQLITE_SHM_SHARED) {
    if (exclusive & mask) return SQLITE_BUSY;
    handle->shared |= mask;
  } else {
    if ((shared | exclusive) & mask) return SQLITE_BUSY;
    handle->exclusive |= mask;
  }
  return SQLITE_OK;
}

int sd_shm_lock(sqlite3_file *base, int first, int count, int flags) {
  sd_vfs_file *file = cast(base);
  if (!file->shm) return SQLITE_IOERR_SHMLOCK;
  if (!sd_is_usable(file) && !(flags & SQLITE_SHM_UNLOCK)) return SQLITE_IOERR_SHMLOCK;
  int result = locked(file->shm, (1u << (first + count)) - (1u << first), flags);
  if (sd_is_usable(file)) {
    sd_note(file->file->disk, SD_TRACE_SHM_LOCK, file->file->inode->id, (uint64_t)(first * 8 + count),
            (uint64_t)flags, result, 0);
  }
  return result;
}

/// One thread: only the compiler could change the order.
void sd_shm_barrier(sqlite3_file *base) {
  (void)base;
  __sync_synchronize();
}

int sd_shm_unmap(sqlite3_file *base, int deletes) {
  (void)deletes;
  sd_vfs_file *file = cast(base);
  sd_shm_handle *handle = file->shm;
  if (!handle) return SQLITE_OK;
  sd_shm_handle **at = &handle->shm->handles;
  while (*at != handle) at = &(*at)->next;
  *at = handle->next;
  file->shm = NULL;
  sd_shm *shm = handle->shm;
  free(handle);
  sd_inode *inode = file->file->inode;
  if (inode && inode->shm == shm && shm->holders == 2) sd_detach_shm(inode);
  let_go(shm);
  return SQLITE_OK;
}
