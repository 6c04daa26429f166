using System.Buffers.Binary;
using System.Text;
using Microsoft.Extensions.Logging.Abstractions;
using Tributary.Postgres;
using Tributary.Streaming.Targets.Postgres;

namespace Tributary.Streaming.Tests.Targets;

/// <summary>Text and binary values come out at the target as they were, by every way in which they are written.</summary>
public sealed class ValueFormatTests
{
    static CancellationToken Cancelled => TestContext.Current.CancellationToken;

    [Theory]
    [InlineData(ValueFormat.Text)]
    [InlineData(ValueFormat.Auto)]
    public async Task Every_built_in_type_is_inserted_updated_and_found(ValueFormat format)
    {
        const string Values =
            """
            i, i, i * 1.5, i / 3.0, i::real / 7, i % 2 = 0, 'text ' || i, 'vc', 'bp', 'n', chr(65 + i % 26)::"char", decode(lpad(i::text, 8, '0'), 'hex'), date '2000-01-01' + i, time '01:02:03.456',
            timetz '01:02:03+05', timestamp '1999-01-01' + i * interval '1 s', timestamptz '2026-01-01' + i * interval '1 h', interval '1 mon 2 days 3 s' * i, md5(i::text)::uuid,
            json_build_object('i', i), jsonb_build_object('i', i), '<a/>'::xml, '10.0.0.1'::inet + i, '10.0.0.0/8', '08:00:2b:01:02:03', '08:00:2b:01:02:03:04:05', B'101', B'1101',
            point(i, 2), box(point(i, 1), point(2, 3)), '{1,2,3}', circle(point(1, i), 2), path '((1,2),(3,4))', polygon '((1,2),(3,4))', lseg '((1,2),(3,4))', i::numeric::money,
            to_tsvector('simple', 'word ' || i), 'a & b', int4range(i, i + 5), numrange(i, NULL), tstzrange(NULL, '2026-01-01'), int4multirange(int4range(i, i + 1)), ARRAY[i, NULL, 3], ARRAY[['a', 'b'], [NULL, i::text]],
            pg_lsn(i::numeric), '1:5:2,3', i::text::oid, NULL::int
            """;
        await using var stream = await StreamHarness.CreateAsync(
            """
            CREATE TABLE value (id bigint, k int, n numeric, n2 numeric(20, 6), r real, b boolean, t text, vc varchar(5), c char(5), nm name, ch "char", by bytea, d date, ti time,
                tz timetz, ts timestamp, tstz timestamptz, iv interval, u uuid, j json, jb jsonb, x xml, ip inet, net cidr, mac macaddr, mac8 macaddr8, bi bit(3), vb varbit,
                p point, bx box, li line, ci circle, pa path, po polygon, ls lseg, m money, tv tsvector, tq tsquery, ir int4range, nr numrange, tr tstzrange, mr int4multirange, ia int[], ta text[],
                l pg_lsn, sn txid_snapshot, o oid, missing int, PRIMARY KEY (u, id));
            """);
        stream.Options = stream.Options with { ValueFormat = format };
        await stream.StartAndCatchUpAsync();

        // One row, few rows, and as many as COPY is for; then the same for updates, whose keys and values are of many types.
        foreach (var (first, last) in ((int, int)[])[(1, 1), (2, 5), (10, 900)])
        {
            await stream.SourceAsync($"INSERT INTO value SELECT {Values} FROM generate_series({first}, {last}) AS i");
            await stream.CatchUpAsync();
        }

        await stream.SourceAsync("UPDATE value SET ia = ia || k, t = NULL, n = -n, jb = jb || '{\"z\": null}' WHERE id < 500; UPDATE value SET id = -id WHERE id = 3; DELETE FROM value WHERE id % 7 = 0; DELETE FROM value WHERE id = 1");
        await stream.CatchUpAsync();

        await stream.AssertEqualAsync();
        Assert.Equal(0, stream.Pipeline!.Status.MissingRows);
        var started = Assert.Single(await StreamHarness.ColumnAsync(
            stream.Source, $"SELECT query FROM pg_stat_activity WHERE query LIKE 'START_REPLICATION%' AND query LIKE '%{stream.Options.SlotName}%' AND backend_type = 'walsender'"));
        Assert.Equal(format == ValueFormat.Auto, started.Contains("binary", StringComparison.Ordinal));
    }

    [Fact]
    public async Task Text_and_binary_values_of_one_column_are_written_by_one_batch()
    {
        await using var stream = await StreamHarness.CreateAsync();
        await stream.TargetAsync("CREATE TABLE item (id int PRIMARY KEY, v int)");
        await using var target = new PostgresTarget(stream.Options, TimeProvider.System, NullLogger.Instance);
        await target.OpenAsync(Cancelled);
        await target.BeginCopyAsync(new SourceIdentity("1", 1), Cancelled);
        await target.CompleteCopyAsync(new Lsn(1), Cancelled);
        var table = new TableSchema(
            1, "public", "item", ReplicaIdentity.Key, [new ColumnSchema("id", 23, null, -1, IsKey: true), new ColumnSchema("v", 23, null, -1, IsKey: false)]);
        using var transaction = new Transaction(1);
        for (var i = 0; i < 40; i++)
            transaction.Add(new Change(ChangeKind.Insert, table, transaction.Keep(Row((i, i % 3 == 0), (i, i % 2 == 0))), default, OldRowKind.None));
        // The same rows by the other form of their keys.
        for (var i = 0; i < 40; i++)
            transaction.Add(new Change(ChangeKind.Update, table, transaction.Keep(Row((i, i % 3 != 0), (i * 10, i % 4 == 0))), default, OldRowKind.None));
        transaction.Complete(new Lsn(2), TimeProvider.System.GetUtcNow());

        var outcome = await target.WriteAsync(new TransactionBatch([transaction], new Lsn(2)), Cancelled);

        Assert.Equal(0, outcome.MissingRows);
        Assert.Equal(40L, await StreamHarness.ScalarAsync(stream.Target, "SELECT count(*) FROM item WHERE v = id * 10"));
    }

    [Fact]
    public async Task Triggers_fire_where_they_are_meant_for_replicas_and_see_the_sources_order()
    {
        await using var stream = await StreamHarness.CreateAsync("CREATE TABLE item (id int PRIMARY KEY, v int)");
        await stream.StartAndCatchUpAsync();
        await stream.StopAsync();
        await stream.TargetAsync(
            """
            CREATE TABLE public.noted (n serial, what text);
            CREATE FUNCTION public.note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN INSERT INTO public.noted (what) VALUES (TG_ARGV[0] || TG_OP || COALESCE(NEW.v, OLD.v)); RETURN NULL; END $$;
            CREATE TRIGGER always AFTER INSERT OR UPDATE OR DELETE ON public.item FOR EACH ROW EXECUTE FUNCTION public.note('always ');
            CREATE TRIGGER usual AFTER INSERT OR UPDATE OR DELETE ON public.item FOR EACH ROW EXECUTE FUNCTION public.note('usual ');
            ALTER TABLE public.item ENABLE ALWAYS TRIGGER always;
            """);

        await stream.SourceAsync("BEGIN; INSERT INTO item VALUES (1, 1), (2, 2); UPDATE item SET v = 3 WHERE id = 1; DELETE FROM item WHERE id = 1; COMMIT");
        await stream.StartAndCatchUpAsync();

        Assert.Equal(
            ["always INSERT1", "always INSERT2", "always UPDATE3", "always DELETE3"], await StreamHarness.ColumnAsync(stream.Target, "SELECT what FROM noted ORDER BY n"));
    }

    static byte[] Row(params (int Value, bool IsBinary)[] columns)
    {
        var row = new List<byte> { 0, (byte)columns.Length };
        Span<byte> number = stackalloc byte[sizeof(int)];
        foreach (var (value, isBinary) in columns)
        {
            BinaryPrimitives.WriteInt32BigEndian(number, value);
            var bytes = isBinary ? number.ToArray() : Encoding.UTF8.GetBytes($"{value}");
            row.Add(isBinary ? (byte)'b' : (byte)'t');
            BinaryPrimitives.WriteInt32BigEndian(number, bytes.Length);
            row.AddRange(number);
            row.AddRange(bytes);
        }

        return [.. row];
    }
}
