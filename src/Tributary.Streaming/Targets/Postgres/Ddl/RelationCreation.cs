using System.Text;
using System.Text.Json;
using Tributary.Postgres;

namespace Tributary.Streaming.Targets.Postgres.Ddl;

/// <summary>The statement that makes a relation; its parts, grants and comments are set afterwards.</summary>
internal static class RelationCreation
{
    public static string Sql(JsonElement relation) => relation.Required("kind") switch
    {
        "v" => $"CREATE OR REPLACE VIEW {relation.Required("identity")}{Options(relation)} AS {relation.Required("definition")}",
        "m" => $"CREATE MATERIALIZED VIEW {relation.Required("identity")}{AccessMethod(relation)}{Options(relation)} AS " +
            $"{relation.Required("definition")} WITH {(relation.Flag("populated") ? "" : "NO ")}DATA",
        "S" => $"CREATE {(relation.Text("persistence") == "u" ? "UNLOGGED " : "")}SEQUENCE {relation.Required("identity")} " +
            $"AS {relation.Field("sequence").Required("type")} {relation.Field("sequence").Required("options")}",
        _ => Table(relation),
    };

    /// <summary>How a column begins in both CREATE TABLE and ADD COLUMN.</summary>
    public static string Column(JsonElement column)
    {
        var sql = new StringBuilder($"{SqlQuoting.Identifier(column.Required("name"))} {column.Required("type")}");
        if (column.Text("fdw_options") is { } options)
            sql.Append($" OPTIONS ({options})");
        if (column.Text("collation") is { } collation)
            sql.Append($" COLLATE {collation}");
        if (column.Text("generated") is { } generated)
            sql.Append($" GENERATED ALWAYS AS ({column.Required("default")}) {(generated == "v" ? "VIRTUAL" : "STORED")}");
        if (column.Field("sequence").ValueKind == JsonValueKind.Object)
            sql.Append($" GENERATED {Identity(column)}");
        return sql.Append(NotNull(column)).ToString();
    }

    // Postgres before 18 takes the constraint's name and forgets it.
    static string NotNull(JsonElement column) => (column.Flag("not_null"), column.Text("not_null_name")) switch
    {
        (false, _) => "",
        (true, null) => " NOT NULL",
        (true, { } name) => $" CONSTRAINT {SqlQuoting.Identifier(name)} NOT NULL",
    };

    /// <summary>An identity at the target is always BY DEFAULT: the source may give such a column a value that no UPDATE could set otherwise.</summary>
    public static string Identity(JsonElement column)
    {
        var sequence = column.Field("sequence");
        return $"BY DEFAULT AS IDENTITY (SEQUENCE NAME {sequence.Required("name")} {sequence.Required("options")})";
    }

    public static string Options(JsonElement relation)
    {
        var options = relation.Settings("options").Select(option => $"{option.Key} = {SqlQuoting.Literal(option.Value)}")
            .Concat(relation.Settings("toast_options").Select(option => $"toast.{option.Key} = {SqlQuoting.Literal(option.Value)}")).ToList();
        return options.Count == 0 ? "" : $" WITH ({string.Join(", ", options)})";
    }

    static string AccessMethod(JsonElement relation) =>
        relation.Text("access_method") is { } method && method != "heap" ? $" USING {SqlQuoting.Identifier(method)}" : "";

    // A partition is made as a table and attached when its keys and indexes are there, so that each keeps its own name.
    static string Table(JsonElement relation)
    {
        var isPartition = relation.Text("partition_bound") is not null;
        var isForeign = relation.Required("kind") == "f";
        var sql = new StringBuilder("CREATE ");
        sql.Append(relation.Text("persistence") == "u" ? "UNLOGGED TABLE " : isForeign ? "FOREIGN TABLE " : "TABLE ").Append(relation.Required("identity"));
        var items = relation.Parts("columns").Values.Where(column => isPartition || column.Flag("local") || !column.Flag("inherited"))
            .Select(column => Column(column) + (column.Text("generated") is null && column.Text("default") is { } value ? $" DEFAULT {value}" : ""))
            .Concat(relation.Parts("constraints").Values.Where(constraint => constraint.Text("type") == "c" && (isPartition || constraint.Flag("local")))
                .Select(constraint => $"CONSTRAINT {SqlQuoting.Identifier(constraint.Required("name"))} {constraint.Required("definition")}"));
        if (relation.Text("of_type") is { } type)
        {
            var typed = relation.Parts("columns").Values.Where(column => column.Flag("not_null") || column.Text("default") is not null)
                .Select(column => $"{SqlQuoting.Identifier(column.Required("name"))} WITH OPTIONS{NotNull(column)}" +
                    $"{(column.Text("default") is { } value ? $" DEFAULT {value}" : "")}").ToList();
            sql.Append($" OF {type}{(typed.Count > 0 ? $" ({string.Join(", ", typed)})" : "")}");
        }
        else
        {
            sql.Append($" ({string.Join(", ", items)})");
        }

        if (!isPartition && relation.Items("parents") is { Count: > 0 } parents)
            sql.Append($" INHERITS ({string.Join(", ", parents.Select(parent => parent.Required("name")))})");
        if (relation.Text("partition_key") is { } key)
            sql.Append($" PARTITION BY {key}");
        if (isForeign)
            sql.Append($" SERVER {SqlQuoting.Identifier(relation.Required("server"))}{(relation.Text("fdw_options") is { } options ? $" OPTIONS ({options})" : "")}");
        return sql.Append(AccessMethod(relation)).Append(Options(relation)).ToString();
    }
}
