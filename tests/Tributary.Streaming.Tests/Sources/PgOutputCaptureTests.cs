using Npgsql;
using Tributary.Streaming.Sources;
using Tributary.Testing;

namespace Tributary.Streaming.Tests.Sources;

/// <summary>The decoder on what a real server has sent: every kind of message, whole, shortened and spoiled.</summary>
public sealed class PgOutputCaptureTests
{
    const int Mutations = 1_000_000;

    static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Fact]
    public async Task Whole_messages_are_decoded_and_shortened_or_spoiled_ones_give_only_the_typed_error()
    {
        var messages = await CaptureAsync();
        var decoder = new PgOutputDecoder();
        var kinds = new HashSet<PgOutputKind>();
        for (var i = 0; i < messages.Count; i++)
        {
            var kind = decoder.Decode(messages[i]).Kind;
            kinds.Add(kind);
        }

        // Origin alone is missing, since nothing here comes from another server.
        Assert.Equal(Enum.GetValues<PgOutputKind>().Except([PgOutputKind.Origin]).Order(), kinds.Order());
        Shorten(messages);
        Spoil(messages);
    }

    // Each kind once: the decoder is brought to where the message comes, then each prefix of it is refused.
    static void Shorten(List<byte[]> messages)
    {
        foreach (var index in messages.Select((message, index) => (message[0], index)).DistinctBy(pair => pair.Item1).Select(pair => pair.index))
        {
            for (var length = 0; length < Math.Min(messages[index].Length, 200); length++)
            {
                var decoder = Prime(messages, index);
                Assert.Throws<PgOutputFormatException>(() => { decoder.Decode(messages[index].AsSpan(0, length)); });
            }
        }
    }

    static void Spoil(List<byte[]> messages)
    {
        var random = new Random(20261125);
        var places = messages.Select((message, index) => (message[0], index)).DistinctBy(pair => pair.Item1).Select(pair => pair.index).ToArray();
        var refused = 0;
        var each = Mutations / places.Length;
        foreach (var index in places)
        {
            var decoder = Prime(messages, index);
            for (var i = 0; i < each; i++)
            {
                var message = messages[index];
                var spoiled = message.AsSpan(0, random.Next(8) == 0 ? random.Next(message.Length) : message.Length).ToArray();
                for (var flips = random.Next(1, 4); flips > 0 && spoiled.Length > 0; flips--)
                    spoiled[random.Next(Math.Min(spoiled.Length, 64))] = (byte)random.Next(256);
                try
                {
                    var kind = decoder.Decode(spoiled).Kind;
                    // It has taken the message and moved on.
                    if (kind is not (PgOutputKind.Insert or PgOutputKind.Update or PgOutputKind.Delete or PgOutputKind.Truncate or PgOutputKind.Message))
                        decoder = Prime(messages, index);
                }
                catch (PgOutputFormatException)
                {
                    refused++;
                }
            }
        }

        Assert.InRange(refused, Mutations / 10, Mutations);
    }

    // What came before matters by its tables and by the part of a transaction that it opens.
    static PgOutputDecoder Prime(List<byte[]> messages, int index)
    {
        var decoder = new PgOutputDecoder();
        for (var i = 0; i < index; i++)
        {
            if (messages[i][0] is (byte)'R' or (byte)'Y' or (byte)'S' or (byte)'E' or (byte)'c' or (byte)'A' or (byte)'p')
                decoder.Decode(messages[i]);
        }

        return decoder;
    }

    static async Task<List<byte[]>> CaptureAsync()
    {
        await using var server = await TestServers.StartAsync(["wal_level = logical", "logical_decoding_work_mem = 64kB", "max_prepared_transactions = 5"]);
        await using var connection = new NpgsqlConnection(server.ConnectionString() + ";Pooling=false");
        await connection.OpenAsync(Cancelled);
        foreach (var sql in (string[])
        [
            "CREATE TYPE mood AS ENUM ('sad'); CREATE TABLE t (id int PRIMARY KEY, v text, m mood); CREATE PUBLICATION p FOR TABLE t",
            "SELECT pg_create_logical_replication_slot('s', 'pgoutput', false, true)",
            "INSERT INTO t VALUES (1, 'a', 'sad'); UPDATE t SET id = 2; DELETE FROM t; TRUNCATE t; SELECT pg_logical_emit_message(false, 'p', 'x')",
            "BEGIN; INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(1, 2000) i; SAVEPOINT a; INSERT INTO t SELECT i, repeat('y', 100) FROM generate_series(3001, 5000) i; ROLLBACK TO a; UPDATE t SET v = 'z' WHERE id < 10; DELETE FROM t WHERE id = 1; COMMIT",
            "BEGIN; INSERT INTO t VALUES (-1); PREPARE TRANSACTION 'one'", "COMMIT PREPARED 'one'",
            "BEGIN; INSERT INTO t VALUES (-2); PREPARE TRANSACTION 'two'", "ROLLBACK PREPARED 'two'",
            "BEGIN; INSERT INTO t SELECT i, repeat('x', 100) FROM generate_series(6001, 8000) i; PREPARE TRANSACTION 'three'", "COMMIT PREPARED 'three'",
        ])
        {
            await using var command = new NpgsqlCommand(sql, connection);
            await command.ExecuteNonQueryAsync(Cancelled);
        }

        await using var read = new NpgsqlCommand(
            "SELECT data FROM pg_logical_slot_get_binary_changes('s', NULL, NULL, 'proto_version', '3', 'publication_names', 'p', 'streaming', 'on', 'two_phase', 'on', 'messages', 'on')", connection);
        await using var reader = await read.ExecuteReaderAsync(Cancelled);
        var messages = new List<byte[]>();
        while (await reader.ReadAsync(Cancelled))
            messages.Add(reader.GetFieldValue<byte[]>(0));
        return messages;
    }
}
