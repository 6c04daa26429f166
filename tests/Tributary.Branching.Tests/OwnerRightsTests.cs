using Npgsql;
using static Tributary.Branching.Tests.BranchingFixture;

namespace Tributary.Branching.Tests;

/// <summary>A branch whose owner is no superuser: an application and its migrations have all they need, and nobody becomes one.</summary>
public sealed class OwnerRightsTests : IAsyncLifetime
{
    readonly BranchingFixture _fixture = new()
    {
        Adjust = static options => options with { OwnerRights = OwnerRights.Application },
        Prepare = async production =>
        {
            await ExecuteAsync(production.ConnectionString("bank"), Schema);
            // As in a database that an older version has made.
            await ExecuteAsync(production.ConnectionString("template1"), "GRANT CREATE ON SCHEMA public TO PUBLIC");
            return production.Url("bank");
        },
    };

    const string Schema =
        """
        CREATE ROLE shop_app LOGIN PASSWORD 'x';
        CREATE ROLE shop_admin LOGIN SUPERUSER;
        CREATE ROLE etl LOGIN;
        GRANT pg_write_server_files, pg_execute_server_program TO etl;
        GRANT shop_app TO etl;
        CREATE SCHEMA shop;
        GRANT USAGE ON SCHEMA shop TO shop_app;
        CREATE TYPE shop.mood AS ENUM ('ok');
        CREATE DOMAIN shop.price AS numeric CHECK (VALUE >= 0);
        CREATE TABLE shop.items (id bigserial PRIMARY KEY, price shop.price, mood shop.mood);
        CREATE TABLE shop.theirs (id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY, secret text);
        ALTER TABLE shop.theirs OWNER TO shop_app;
        ALTER TABLE shop.theirs ENABLE ROW LEVEL SECURITY;
        CREATE TABLE shop.parts (id int, at date) PARTITION BY RANGE (at);
        CREATE TABLE shop.parts_1 PARTITION OF shop.parts DEFAULT;
        CREATE VIEW shop.cheap AS SELECT * FROM shop.items WHERE price < 10;
        CREATE MATERIALIZED VIEW shop.sums AS SELECT sum(price) FROM shop.items;
        CREATE FUNCTION shop.twice(x int) RETURNS int LANGUAGE sql AS 'SELECT x * 2';
        CREATE FUNCTION shop.whoami() RETURNS text LANGUAGE sql SECURITY DEFINER AS 'SELECT current_user::text';
        CREATE TABLE shop.audit (note text);
        CREATE FUNCTION shop.note(note text) RETURNS void LANGUAGE sql SECURITY DEFINER SET search_path = pg_catalog, pg_temp AS 'INSERT INTO shop.audit VALUES (note)';
        CREATE EXTENSION pg_trgm SCHEMA public;
        CREATE FUNCTION shop.no_commands() RETURNS event_trigger LANGUAGE plpgsql AS $f$ BEGIN RAISE 'no command is allowed here'; END $f$;
        CREATE EVENT TRIGGER no_commands ON ddl_command_end EXECUTE FUNCTION shop.no_commands();
        DO $do$ BEGIN
            IF current_setting('server_version_num')::int >= 170000 THEN
                SET session_replication_role = replica;
                CREATE FUNCTION shop.no_tributary() RETURNS event_trigger LANGUAGE plpgsql AS $f$ BEGIN
                    IF inet_client_addr() IS NULL AND current_setting('application_name') = 'tributary' THEN RAISE 'no login is allowed here'; END IF;
                END $f$;
                CREATE EVENT TRIGGER no_tributary ON login EXECUTE FUNCTION shop.no_tributary();
                RESET session_replication_role;
            END IF;
        END $do$;
        """;

    public ValueTask InitializeAsync() => _fixture.InitializeAsync();

    public ValueTask DisposeAsync() => _fixture.DisposeAsync();

    [Theory]
    [InlineData(BranchOrigin.Seed)]
    [InlineData(BranchOrigin.Now)]
    public async Task An_owner_without_all_rights_migrates_what_superusers_and_applications_own(BranchOrigin origin)
    {
        var branch = await _fixture.CreateAsync("migrated", origin);
        await using var lease = await _fixture.ConnectAsync(branch);

        await ExecuteAsync(ConnectionString(lease), """
            ALTER TABLE shop.items ADD note text;
            INSERT INTO shop.items (price, mood) VALUES (5, 'ok');
            ALTER TABLE shop.theirs ADD note text;
            INSERT INTO shop.theirs (secret) VALUES ('s');
            ALTER TYPE shop.mood ADD VALUE 'sad';
            ALTER DOMAIN shop.price DROP CONSTRAINT price_check;
            CREATE TABLE shop.parts_2 PARTITION OF shop.parts FOR VALUES FROM ('2026-01-01') TO ('2027-01-01');
            CREATE OR REPLACE FUNCTION shop.twice(x int) RETURNS int LANGUAGE sql AS 'SELECT x + x';
            REFRESH MATERIALIZED VIEW shop.sums;
            CREATE INDEX ON shop.items USING gin (note gin_trgm_ops);
            DROP VIEW shop.cheap;
            UPDATE accounts SET balance = balance + 1;
            ALTER TABLE accounts ADD CHECK (balance > 0);
            CREATE TABLE mine (x int);
            CREATE SCHEMA extra;
            CREATE EXTENSION hstore;
            """);
        await ExecuteAsync(ConnectionString(lease), "CREATE DATABASE scratch");

        Assert.Equal(1L, await ScalarAsync(ConnectionString(lease), "SELECT count(*) FROM shop.theirs"));
        Assert.Equal("branch_owner", await ScalarAsync(ConnectionString(lease), "SELECT shop.whoami()"));
        await ExecuteAsync(ConnectionString(lease), "SELECT shop.note('kept')");
        Assert.Equal(1L, await ScalarAsync(ConnectionString(lease), "SELECT count(*) FROM shop.audit"));
        await ExecuteAsync(ConnectionString(lease, user: "shop_app"), "SELECT * FROM shop.theirs");
    }

    [Theory]
    [InlineData("ALTER ROLE branch_owner SUPERUSER")]
    [InlineData("SET ROLE postgres")]
    [InlineData("SET SESSION AUTHORIZATION postgres")]
    [InlineData("COPY (SELECT 1) TO '/data/file'")]
    [InlineData("COPY accounts TO PROGRAM 'cat'")]
    [InlineData("SELECT pg_read_file('postgresql.conf')")]
    [InlineData("SET ROLE etl; COPY (SELECT 1) TO '/data/file'")]
    [InlineData("GRANT pg_write_server_files TO branch_owner")]
    [InlineData("CREATE OR REPLACE FUNCTION shop.whoami() RETURNS text LANGUAGE plpgsql SECURITY DEFINER AS 'BEGIN ALTER ROLE branch_owner SUPERUSER; RETURN NULL; END'; SELECT shop.whoami()")]
    [InlineData("CREATE FUNCTION shop.rise() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN ALTER ROLE branch_owner SUPERUSER; RETURN NEW; END'; CREATE TRIGGER rise BEFORE INSERT ON shop.audit FOR EACH ROW EXECUTE FUNCTION shop.rise(); SELECT shop.note('x')")]
    [InlineData("ALTER EVENT TRIGGER no_commands ENABLE")]
    [InlineData("ALTER SYSTEM SET work_mem = '1GB'")]
    public async Task It_does_not_become_a_superuser(string attempt)
    {
        var branch = _fixture.Manager.Find("tried").Value ?? await _fixture.CreateAsync("tried");
        await using var lease = await _fixture.ConnectAsync(branch);

        var refused = await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(ConnectionString(lease), attempt));

        Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, refused.SqlState);
        Assert.Equal(0L, await ScalarAsync(ConnectionString(lease), "SELECT count(*) FROM pg_roles WHERE rolsuper AND oid <> 10"));
        Assert.Contains("owner-rights", _fixture.Manager.WhyNot("postgres")?.Message, StringComparison.Ordinal);
        Assert.Null(_fixture.Manager.WhyNot("shop_admin"));
    }

    [Fact]
    public async Task No_command_of_a_superuser_runs_what_the_owner_has_put_in_its_way()
    {
        var branch = await _fixture.CreateAsync("trap");
        await using (var lease = await _fixture.ConnectAsync(branch))
        {
            // The scripts of a trusted extension run as a superuser, and fire event triggers; a name of the catalog's can be found elsewhere first.
            await ExecuteAsync(ConnectionString(lease), """
                CREATE OR REPLACE FUNCTION shop.no_commands() RETURNS event_trigger LANGUAGE plpgsql AS 'BEGIN ALTER ROLE branch_owner SUPERUSER; END';
                CREATE EXTENSION citext;
                ALTER DATABASE bank SET search_path = public, pg_catalog;
                """);
            await ExecuteAsync(ConnectionString(lease, "template1"), """
                CREATE FUNCTION public.rise(numeric, integer) RETURNS numeric LANGUAGE plpgsql AS 'BEGIN ALTER ROLE branch_owner SUPERUSER; RETURN 0; END';
                CREATE OPERATOR public./ (LEFTARG = numeric, RIGHTARG = integer, FUNCTION = public.rise);
                """);
            // The trap works for whoever finds it.
            var refused = await Assert.ThrowsAsync<PostgresException>(() => ExecuteAsync(ConnectionString(lease, "template1"), "SELECT 1::numeric / 4"));
            Assert.Equal(PostgresErrorCodes.InsufficientPrivilege, refused.SqlState);
        }

        await _fixture.StopIdleAsync();
        await using var again = await _fixture.ConnectAsync(branch);

        Assert.NotNull(again.WakeTime);
        Assert.Equal(false, await ScalarAsync(ConnectionString(again), "SELECT rolsuper FROM pg_roles WHERE rolname = 'branch_owner'"));
    }
}
