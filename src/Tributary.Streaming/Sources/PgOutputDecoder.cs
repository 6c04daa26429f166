using System.Collections.Immutable;
using Tributary.Postgres;

namespace Tributary.Streaming.Sources;

/// <summary>
/// Decodes pgoutput, protocol versions 1 to 4, open and two-phase transactions included.
/// It keeps the shapes of the tables that it was told about; the server sends them anew on each connection, so a decoder lives as long as one.
/// Source: https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
/// </summary>
internal sealed class PgOutputDecoder
{
    // pg_attribute allows 1,600 columns; the bound keeps a broken message from reserving memory.
    const int ColumnsMax = 1664;

    readonly PgOutputSchemas _schemas = new();

    // The transaction between a StreamStart and its StreamStop; zero outside.
    uint _streamed;

    /// <exception cref="PgOutputFormatException">The bytes are not a message that the server may send here.</exception>
    public PgOutputMessage Decode(ReadOnlySpan<byte> bytes)
    {
        var reader = new PgOutputReader(bytes);
        var kind = reader.Byte();
        // Inside an open transaction, messages about tables and rows name the subtransaction that they belong to.
        var subXid = _streamed != 0 && IsContent(kind) ? reader.UInt32() : 0;
        var message = IsContent(kind) ? Content(kind, ref reader) : Boundary(kind, ref reader);
        reader.RequireEnd();
        if (IsContent(kind))
        {
            message.Xid = _streamed;
            message.SubXid = subXid;
        }
        else
        {
            Follow(in message);
        }

        return message;
    }

    static bool IsContent(byte kind) => kind is (byte)'R' or (byte)'Y' or (byte)'I' or (byte)'U' or (byte)'D' or (byte)'T' or (byte)'M';

    PgOutputMessage Content(byte kind, scoped ref PgOutputReader reader) => kind switch
    {
        (byte)'R' => Relation(ref reader),
        (byte)'Y' => Type(ref reader),
        (byte)'I' => Insert(ref reader),
        (byte)'U' => Update(ref reader),
        (byte)'D' => Delete(ref reader),
        (byte)'T' => Truncate(ref reader),
        _ => LogicalMessage(ref reader),
    };

    static PgOutputMessage Boundary(byte kind, scoped ref PgOutputReader reader) => kind switch
    {
        (byte)'B' => PgOutputBoundaries.Begin(ref reader),
        (byte)'C' => PgOutputBoundaries.Commit(ref reader),
        (byte)'O' => Origin(ref reader),
        (byte)'S' => PgOutputBoundaries.StreamStart(ref reader),
        (byte)'E' => new PgOutputMessage { Kind = PgOutputKind.StreamStop },
        (byte)'c' => PgOutputBoundaries.StreamCommit(ref reader),
        (byte)'A' => PgOutputBoundaries.StreamAbort(ref reader),
        (byte)'b' => PgOutputBoundaries.BeginPrepare(ref reader),
        (byte)'P' => PgOutputBoundaries.Prepare(PgOutputKind.Prepare, ref reader),
        (byte)'p' => PgOutputBoundaries.Prepare(PgOutputKind.StreamPrepare, ref reader),
        (byte)'K' => PgOutputBoundaries.Prepare(PgOutputKind.CommitPrepared, ref reader),
        (byte)'r' => PgOutputBoundaries.RollbackPrepared(ref reader),
        _ => throw new PgOutputFormatException($"unknown message kind 0x{kind:X2}"),
    };

    void Follow(in PgOutputMessage message)
    {
        if (message.Kind != PgOutputKind.Origin && _streamed != 0 != (message.Kind == PgOutputKind.StreamStop))
            throw new PgOutputFormatException($"a {message.Kind} message {(_streamed == 0 ? "outside" : "inside")} a part of an open transaction");
        switch (message.Kind)
        {
            case PgOutputKind.StreamStart:
                _streamed = message.Xid;
                _schemas.Enter(_streamed);
                break;
            case PgOutputKind.StreamStop:
                _streamed = 0;
                _schemas.Leave();
                break;
            case PgOutputKind.StreamCommit or PgOutputKind.StreamPrepare:
                _schemas.Committed(message.Xid);
                break;
            case PgOutputKind.StreamAbort when message.SubXid == message.Xid:
                _schemas.Aborted(message.Xid);
                break;
        }
    }

    static PgOutputMessage Origin(scoped ref PgOutputReader reader)
    {
        reader.UInt64();
        reader.Name();
        return new PgOutputMessage { Kind = PgOutputKind.Origin };
    }

    PgOutputMessage Relation(scoped ref PgOutputReader reader)
    {
        var id = reader.UInt32();
        var schema = reader.Name();
        var name = reader.Name();
        if (name.Length == 0)
            throw new PgOutputFormatException("a table has no name");
        // An empty schema stands for pg_catalog (logicalrep_write_namespace in src/backend/replication/logical/proto.c).
        schema = schema.Length == 0 ? "pg_catalog" : schema;
        var identity = reader.Byte() switch
        {
            (byte)'f' => ReplicaIdentity.Full,
            (byte)'n' => ReplicaIdentity.Nothing,
            (byte)'d' or (byte)'i' => ReplicaIdentity.Key,
            var other => throw new PgOutputFormatException($"unknown replica identity 0x{other:X2}"),
        };
        var count = reader.Int16();
        if (count is < 0 or > ColumnsMax)
            throw new PgOutputFormatException($"a table of {count} columns");
        var columns = ImmutableArray.CreateBuilder<ColumnSchema>(count);
        for (var i = 0; i < count; i++)
        {
            var isKey = (reader.Byte() & 1) != 0;
            var column = reader.Name();
            if (column.Length == 0)
                throw new PgOutputFormatException("a column has no name");
            var type = reader.UInt32();
            columns.Add(new ColumnSchema(column, type, _schemas.TypeName(type), reader.Int32(), isKey));
        }

        var table = _schemas.Describe(new TableSchema(id, schema, name, identity, columns.MoveToImmutable()));
        return new PgOutputMessage { Kind = PgOutputKind.Relation, Table = table };
    }

    PgOutputMessage Type(scoped ref PgOutputReader reader)
    {
        var id = reader.UInt32();
        var schema = reader.Name();
        _schemas.DescribeType(id, $"{schema}.{reader.Name()}");
        return new PgOutputMessage { Kind = PgOutputKind.Type };
    }

    PgOutputMessage Insert(scoped ref PgOutputReader reader)
    {
        var table = _schemas.Find(reader.UInt32());
        if (reader.Byte() != 'N')
            throw new PgOutputFormatException("an insert holds no new row");
        return new PgOutputMessage { Kind = PgOutputKind.Insert, Table = table, New = reader.Tuple(table.Columns.Length) };
    }

    PgOutputMessage Update(scoped ref PgOutputReader reader)
    {
        var table = _schemas.Find(reader.UInt32());
        var message = new PgOutputMessage { Kind = PgOutputKind.Update, Table = table };
        var part = reader.Byte();
        if (part is (byte)'K' or (byte)'O')
        {
            message.OldKind = part == 'K' ? OldRowKind.Key : OldRowKind.Full;
            message.Old = reader.Tuple(table.Columns.Length);
            part = reader.Byte();
        }

        if (part != 'N')
            throw new PgOutputFormatException("an update holds no new row");
        message.New = reader.Tuple(table.Columns.Length);
        return message;
    }

    PgOutputMessage Delete(scoped ref PgOutputReader reader)
    {
        var table = _schemas.Find(reader.UInt32());
        var kind = reader.Byte() switch
        {
            (byte)'K' => OldRowKind.Key,
            (byte)'O' => OldRowKind.Full,
            _ => throw new PgOutputFormatException("a delete holds no old row"),
        };
        return new PgOutputMessage { Kind = PgOutputKind.Delete, Table = table, OldKind = kind, Old = reader.Tuple(table.Columns.Length) };
    }

    PgOutputMessage Truncate(scoped ref PgOutputReader reader)
    {
        var count = reader.Int32();
        var options = reader.Byte();
        if (count < 1 || count > reader.Remaining / 4)
            throw new PgOutputFormatException($"a truncation of {count} tables");
        var tables = new TableSchema[count];
        for (var i = 0; i < count; i++)
            tables[i] = _schemas.Find(reader.UInt32());
        return new PgOutputMessage
        {
            Kind = PgOutputKind.Truncate,
            Table = tables[0],
            Truncation = new TableTruncation(tables, (options & 1) != 0, (options & 2) != 0),
        };
    }

    static PgOutputMessage LogicalMessage(scoped ref PgOutputReader reader)
    {
        var message = new PgOutputMessage { Kind = PgOutputKind.Message, Transactional = (reader.Byte() & 1) != 0, Lsn = new Lsn(reader.UInt64()) };
        var rest = reader;
        rest.Name();
        message.Prefix = reader.Take(reader.Remaining - rest.Remaining - 1);
        reader.Byte();
        message.Content = reader.Take(reader.Int32());
        return message;
    }
}
