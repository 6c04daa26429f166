using System.Collections.Immutable;
using Tributary.Postgres;

namespace Tributary.Streaming.Sources;

/// <summary>
/// Decodes pgoutput (protocol versions 1 to 4 without streaming of open transactions).
/// It keeps the shapes of the tables that it was told about; the server sends them anew on each connection, so a decoder lives as long as one.
/// Source: https://www.postgresql.org/docs/current/protocol-logicalrep-message-formats.html
/// </summary>
internal sealed class PgOutputDecoder
{
    // pg_attribute allows 1,600 columns; the bound keeps a broken message from reserving memory.
    const int ColumnsMax = 1664;

    readonly Dictionary<uint, TableSchema> _tables = [];
    readonly Dictionary<uint, string> _types = [];

    /// <exception cref="PgOutputFormatException">The bytes are not a message that the server may send here.</exception>
    public PgOutputMessage Decode(ReadOnlySpan<byte> bytes)
    {
        var reader = new PgOutputReader(bytes);
        var message = reader.Byte() switch
        {
            (byte)'B' => Begin(ref reader),
            (byte)'C' => Commit(ref reader),
            (byte)'O' => Origin(ref reader),
            (byte)'R' => Relation(ref reader),
            (byte)'Y' => Type(ref reader),
            (byte)'I' => Insert(ref reader),
            (byte)'U' => Update(ref reader),
            (byte)'D' => Delete(ref reader),
            (byte)'T' => Truncate(ref reader),
            (byte)'M' => LogicalMessage(ref reader),
            var kind => throw new PgOutputFormatException($"unknown message kind 0x{kind:X2}"),
        };
        reader.RequireEnd();
        return message;
    }

    static PgOutputMessage Begin(scoped ref PgOutputReader reader)
    {
        var message = new PgOutputMessage { Kind = PgOutputKind.Begin, Lsn = new Lsn(reader.UInt64()) };
        reader.UInt64();
        message.Xid = reader.UInt32();
        return message;
    }

    static PgOutputMessage Commit(scoped ref PgOutputReader reader)
    {
        reader.Byte();
        reader.UInt64();
        return new PgOutputMessage
        {
            Kind = PgOutputKind.Commit,
            Lsn = new Lsn(reader.UInt64()),
            CommitTimeMicroseconds = (long)reader.UInt64(),
        };
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
            columns.Add(new ColumnSchema(column, type, _types.GetValueOrDefault(type), reader.Int32(), isKey));
        }

        var table = new TableSchema(id, schema, name, identity, columns.MoveToImmutable());
        _tables[id] = table;
        return new PgOutputMessage { Kind = PgOutputKind.Relation, Table = table };
    }

    PgOutputMessage Type(scoped ref PgOutputReader reader)
    {
        var id = reader.UInt32();
        var schema = reader.Name();
        _types[id] = $"{schema}.{reader.Name()}";
        return new PgOutputMessage { Kind = PgOutputKind.Type };
    }

    PgOutputMessage Insert(scoped ref PgOutputReader reader)
    {
        var table = Table(reader.UInt32());
        if (reader.Byte() != 'N')
            throw new PgOutputFormatException("an insert holds no new row");
        return new PgOutputMessage { Kind = PgOutputKind.Insert, Table = table, New = reader.Tuple(table.Columns.Length) };
    }

    PgOutputMessage Update(scoped ref PgOutputReader reader)
    {
        var table = Table(reader.UInt32());
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
        var table = Table(reader.UInt32());
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
            tables[i] = Table(reader.UInt32());
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

    TableSchema Table(uint id) => _tables.TryGetValue(id, out var table)
        ? table
        : throw new PgOutputFormatException($"relation {id} was not described before its first row");
}
