//! What Redis does in one step.
//!
//! Every script names all its keys. The register is a hash that says which invalidation was the
//! latest and which replicas may be answering from their memory; a user's part is a hash of a
//! version and, once somebody has fetched it, a record.

use std::sync::LazyLock;

use redis::Script;

/// Renews a lease, and makes the register if there is none. Arguments: the replica, a name for a
/// new register, and after how many milliseconds a register that nobody uses is forgotten. Answers
/// the register's name, the latest number and whether the register is settled.
pub(super) static RENEW: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local register = redis.call('HGET', KEYS[1], 'name')
        if not register then
            register = ARGV[2]
            redis.call('DEL', KEYS[1])
            redis.call('HSET', KEYS[1], 'name', register, 'number', 0)
        end
        local number = redis.call('HGET', KEYS[1], 'number')
        redis.call('HSET', KEYS[1], 'replica:' .. ARGV[1], number)
        redis.call('PEXPIRE', KEYS[1], ARGV[3])
        local settled = redis.call('HEXISTS', KEYS[1], 'settled')
        return {register, tonumber(number), settled}
        ",
    )
});

/// Settles the register: whoever answers from memory has entered itself by now. Argument: its name.
pub(super) static SETTLE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        if redis.call('HGET', KEYS[1], 'name') == ARGV[1] then
            redis.call('HSET', KEYS[1], 'settled', 1)
        end
        ",
    )
});

/// Invalidates a user: numbers it, makes everything that is kept of the user or about to be kept
/// worthless, and tells the replicas. Keys: the register and the user's parts. Arguments: a name
/// for a new register, its milliseconds, the channel, the user and the replica that asks. Answers
/// the register's name, the number, a version that rises, and the register's other fields.
pub(super) static INVALIDATE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local register = redis.call('HGET', KEYS[1], 'name')
        if not register then
            register = ARGV[1]
            redis.call('DEL', KEYS[1])
            redis.call('HSET', KEYS[1], 'name', register, 'number', 0)
            redis.call('PEXPIRE', KEYS[1], ARGV[2])
        end
        local number = redis.call('HINCRBY', KEYS[1], 'number', 1)
        local time = redis.call('TIME')
        local version = tonumber(time[1]) * 1000000 + tonumber(time[2])
        local latest = tonumber(redis.call('HGET', KEYS[1], 'version') or '0')
        if version <= latest then
            version = latest + 1
        end
        redis.call('HSET', KEYS[1], 'version', string.format('%.0f', version))
        for place = 2, #KEYS do
            redis.call('DEL', KEYS[place])
        end
        redis.call('PUBLISH', ARGV[3], register .. ' ' .. string.format('%.0f', number)
            .. ' ' .. ARGV[4] .. ' ' .. ARGV[5])
        return {register, number, string.format('%.0f', version), redis.call('HKEYS', KEYS[1])}
        ",
    )
});

/// Strikes replicas off that have not renewed their lease since an invalidation. Arguments: the
/// register's name, the number of the invalidation, and the replicas.
pub(super) static STRIKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        if redis.call('HGET', KEYS[1], 'name') ~= ARGV[1] then
            return
        end
        for place = 3, #ARGV do
            local field = 'replica:' .. ARGV[place]
            local renewed = redis.call('HGET', KEYS[1], field)
            if renewed and tonumber(renewed) < tonumber(ARGV[2]) then
                redis.call('HDEL', KEYS[1], field)
            end
        end
        ",
    )
});

/// Looks for records. Keys: parts of users. Arguments: a version nobody has used before, for parts
/// that have none; what a readable record begins with; and for how many milliseconds a version
/// waits for its record. Answers for each key either the record and how many milliseconds it has
/// left, or the version under which one may be stored.
pub(super) static TAKE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local answers = {}
        for place, key in ipairs(KEYS) do
            local found = redis.call('HMGET', key, 'version', 'record')
            local version, record = found[1], found[2]
            if version and record and string.sub(record, 1, #ARGV[2]) == ARGV[2] then
                answers[place] = {record, redis.call('PTTL', key)}
            else
                if record or not version then
                    version = ARGV[1]
                    redis.call('DEL', key)
                    redis.call('HSET', key, 'version', version)
                end
                redis.call('PEXPIRE', key, ARGV[3])
                answers[place] = {version}
            end
        end
        return answers
        ",
    )
});

/// Stores records, each only if its version is still the one that was taken and nobody has stored
/// another. Keys: parts of users. Arguments: for each key the version, the record and its
/// milliseconds. Answers how many were stored.
pub(super) static STORE: LazyLock<Script> = LazyLock::new(|| {
    Script::new(
        r"
        local stored = 0
        for place, key in ipairs(KEYS) do
            local version, record, life = unpack(ARGV, place * 3 - 2, place * 3)
            if redis.call('HGET', key, 'version') == version
                and redis.call('HSETNX', key, 'record', record) == 1 then
                redis.call('PEXPIRE', key, life)
                stored = stored + 1
            end
        end
        return stored
        ",
    )
});
