using Tributary.Postgres;

namespace Tributary.Streaming.Sources;

/// <summary>
/// Decodes the messages that begin, divide and end transactions.
/// Source: https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html and src/backend/replication/logical/proto.c.
/// </summary>
internal static class PgOutputBoundaries
{
    public static PgOutputMessage Begin(scoped ref PgOutputReader reader)
    {
        var message = new PgOutputMessage { Kind = PgOutputKind.Begin, Lsn = new Lsn(reader.UInt64()) };
        reader.UInt64();
        message.Xid = Xid(ref reader);
        return message;
    }

    public static PgOutputMessage Commit(scoped ref PgOutputReader reader)
    {
        reader.Byte();
        reader.UInt64();
        return End(PgOutputKind.Commit, ref reader);
    }

    public static PgOutputMessage StreamStart(scoped ref PgOutputReader reader)
    {
        var message = new PgOutputMessage { Kind = PgOutputKind.StreamStart, Xid = Xid(ref reader) };
        if (reader.Byte() > 1)
            throw new PgOutputFormatException("a stream's first segment is marked neither as such nor as another");
        return message;
    }

    public static PgOutputMessage StreamCommit(scoped ref PgOutputReader reader)
    {
        var xid = Xid(ref reader);
        reader.Byte();
        reader.UInt64();
        var message = End(PgOutputKind.StreamCommit, ref reader);
        message.Xid = xid;
        return message;
    }

    public static PgOutputMessage StreamAbort(scoped ref PgOutputReader reader)
    {
        var message = new PgOutputMessage { Kind = PgOutputKind.StreamAbort, Xid = Xid(ref reader), SubXid = Xid(ref reader) };
        // With streaming = parallel (protocol 4) the abort's position and time follow.
        if (reader.Remaining > 0)
        {
            message.Lsn = new Lsn(reader.UInt64());
            message.CommitTimeMicroseconds = (long)reader.UInt64();
        }

        return message;
    }

    public static PgOutputMessage BeginPrepare(scoped ref PgOutputReader reader)
    {
        reader.UInt64();
        return Prepared(PgOutputKind.BeginPrepare, ref reader);
    }

    /// <param name="kind">Prepare, StreamPrepare or CommitPrepared, which have one form.</param>
    public static PgOutputMessage Prepare(PgOutputKind kind, scoped ref PgOutputReader reader)
    {
        reader.Byte();
        reader.UInt64();
        return Prepared(kind, ref reader);
    }

    public static PgOutputMessage RollbackPrepared(scoped ref PgOutputReader reader)
    {
        reader.Byte();
        reader.UInt64();
        var end = new Lsn(reader.UInt64());
        reader.UInt64();
        var message = new PgOutputMessage { Kind = PgOutputKind.RollbackPrepared, Lsn = end, CommitTimeMicroseconds = (long)reader.UInt64() };
        message.Xid = Xid(ref reader);
        message.Gid = reader.Name();
        return message;
    }

    static PgOutputMessage Prepared(PgOutputKind kind, scoped ref PgOutputReader reader)
    {
        var message = End(kind, ref reader);
        message.Xid = Xid(ref reader);
        message.Gid = reader.Name();
        return message;
    }

    static PgOutputMessage End(PgOutputKind kind, scoped ref PgOutputReader reader) =>
        new() { Kind = kind, Lsn = new Lsn(reader.UInt64()), CommitTimeMicroseconds = (long)reader.UInt64() };

    // Zero is InvalidTransactionId (src/include/access/transam.h).
    static uint Xid(scoped ref PgOutputReader reader) => reader.UInt32() is var xid and > 0
        ? xid
        : throw new PgOutputFormatException("a transaction has no number");
}
